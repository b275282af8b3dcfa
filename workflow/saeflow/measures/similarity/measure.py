"""How alike the live latents of two SAEs are: `measure_similarity` is the job.

Weights are compared by `quantities`, activations by `cooccurrence`; `matching` finds for each
latent the one that is most like it and its partner, `spaces` compares how matched latents are
arranged. What several pairs of a pass share, SAEs with their codes, random directions and the
alignment of two hooks, is made once. All is symmetric: with first and second exchanged, the same
numbers change sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from saeflow.logs import progress
from saeflow.measures.similarity.alignment import align
from saeflow.measures.similarity.matching import match
from saeflow.measures.similarity.quantities import of_weights
from saeflow.measures.similarity.sides import Side, Sides
from saeflow.measures.sums import write_table
from saeflow.metrics.similarity import FIRST, SECOND
from saeflow.task import Task


def measure_similarity(tasks: Sequence[Task]) -> None:
    """Compare the SAEs of pairs, and finish their tasks.

    Parameters
    ----------
    tasks
        Of one pass. Inputs: ``sae``, ``codes`` and ``activations`` of the first SAE, and ``target``
        of a transcoder; of the second the same after "other_", where they are others. Settings:
        ``one_to_one``, ``candidates``, ``align_tokens``, ``groups``, ``published_mode`` and
        ``seed``. Works get ``first.parquet``, ``second.parquet`` and ``groups.parquet``.
    """
    sides = Sides()
    alignment = cache(align)
    with threadpool_limits(1, user_api="blas"):
        for task in progress(tasks, desc="similarity", unit="pairs"):
            with task.attempt():
                _compare(task, *sides.of(task.inputs), alignment)
