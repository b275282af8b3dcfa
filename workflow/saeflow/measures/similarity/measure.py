"""How alike the live latents of two SAEs are: `measure_similarity` is the job.

Weights are compared by `quantities`, activations by `cooccurrence`; `matching` finds for each
latent the one that is most like it and its partner, `spaces` compares how matched latents are
arranged. What several pairs of a pass share, SAEs with their codes, random directions and the
alignment of two hooks, is made once. All is symmetric: with first and second exchanged, the same
numbers change sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from saeflow.logs import progress
from saeflow.measures.similarity.alignment import Alignment, Alignments
from saeflow.measures.similarity.matching import Columns, match
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
    facts : dict
        For the record.
    """

    sides: tuple[Columns, Columns]
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
    columns = (dict(first.columns), dict(second.columns))
    latents = first.latents, second.latents
    fitted: list[Alignment] = []

    def alignment() -> Alignment:
        fitted.append(alignments.of(first.space, second.space))
        return fitted[-1]

    for quantity in of_weights(first, second, alignment, settings, left_out):
        matched = match(quantity, latents, settings)
        for own, found in zip(columns, matched.columns, strict=True):
            own |= found
    codes = first.codes.facts
    facts = {
        **{name: codes[name] for name in ("n_tokens", "n_documents")},
        "d_in": [side.encoder.shape[1] for side in (first, second)],
        "first": first.counts,
        "second": second.counts,
        "left_out": left_out,
        "alignment": fitted[0].facts if fitted else None,
    }
    return Compared(columns, facts)


def _write(task: Task, found: Compared) -> None:
    for file, columns in zip((FIRST, SECOND), found.sides, strict=True):
        write_table(task.work.path / file, columns)
    task.finish(found.facts)
