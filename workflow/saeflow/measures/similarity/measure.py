"""How alike the live latents of two SAEs are: `measure_similarity` is the job.

Weights are compared by `quantities`, activations by `cooccurrence`; `matching` finds for each
latent the one that is most like it and its partner, `spaces` compares how matched latents are
arranged. What several pairs of a pass share, SAEs with their codes, random directions and the
alignment of two hooks, is made once. All is symmetric: with first and second exchanged, the same
numbers change sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from saeflow.logs import progress
from saeflow.measures.similarity.alignment import Alignment, Alignments
from saeflow.measures.similarity.groups import by_group
from saeflow.measures.similarity.matching import Both, Columns, match
from saeflow.measures.similarity.quantities import of_activations, of_weights
from saeflow.measures.similarity.sides import Side, Sides
from saeflow.measures.similarity.spaces import compare_spaces
from saeflow.measures.sums import write_table
from saeflow.metrics.similarity import CORRELATION, FIRST, GROUPS, SECOND
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
    sides, alignments = Sides(), Alignments(tasks[0].settings["align_tokens"])
    with threadpool_limits(1, user_api="blas"):
        for task in progress(tasks, desc="similarity", unit="pairs"):
            with task.attempt():
                _write(task, compare(*sides.of(task.inputs), alignments, task.settings))


class Compared(NamedTuple):
    """What was found of two SAEs.

    Attributes
    ----------
    sides : tuple of dict
        Columns (n,) and (m,), of the first SAE's live latents and the second's.
    groups : dict
        Columns of `by_group`.
    facts : dict
        For the record.
    """

    sides: tuple[Columns, Columns]
    groups: Columns
    facts: dict[str, Any]


def compare(
    first: Side, second: Side, alignments: Alignments, settings: Mapping[str, Any]
) -> Compared:
    """Compare two SAEs.

    Parameters
    ----------
    first, second
        The SAEs.
    alignments
        Of the hooks whose activations they give back.
    settings
        As of `measure_similarity`.
    """
    left_out: dict[str, str] = {}
    fitted: list[Alignment] = []

    def alignment() -> Alignment:
        fitted.append(alignments.of(first.space, second.space))
        return fitted[-1]

    latents, columns = (first.latents, second.latents), (dict(first.columns), dict(second.columns))
    for quantity in chain(
        of_weights(first, second, alignment, settings, left_out),
        of_activations(first, second, settings),
    ):
        matched = match(quantity, latents, settings)
        for own, more in zip(columns, matched.columns, strict=True):
            own |= more
        if quantity.name == CORRELATION:
            borders = first.codes.groups(settings["groups"])
            groups = by_group((first, second), quantity.similar, matched.best, borders)
            spaces, missing = _spaces(first, second, matched.best, settings["seed"])
    codes = first.codes.facts
    facts = {
        **{name: codes[name] for name in ("n_tokens", "n_documents")},
        "n_groups": len(borders) - 1,
        "d_in": [side.encoder.shape[1] for side in (first, second)],
        "first": first.counts,
        "second": second.counts,
        "left_out": left_out | missing,
        "alignment": fitted[0].facts if fitted else None,
        "spaces": spaces,
    }
    return Compared(columns, groups, facts)


def _spaces(
    first: Side, second: Side, best: Both, seed: int
) -> tuple[dict[str, float], dict[str, str]]:
    """Compare how latents are arranged that are each other's best match, the most alike first."""
    own = np.arange(len(best[0].match))
    mutual = np.flatnonzero(best[1].match[best[0].match] == own)
    mutual = mutual[np.argsort(-best[0].value[mutual], kind="stable")]
    rows = first.decoder[mutual], second.decoder[best[0].match[mutual]]
    return compare_spaces(*rows, seed=seed)


def _write(task: Task, found: Compared) -> None:
    for file, columns in zip((FIRST, SECOND), found.sides, strict=True):
        write_table(task.work.path / file, columns)
    write_table(task.work.path / GROUPS, found.groups)
    task.finish(found.facts)
