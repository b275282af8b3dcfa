"""What is kept of edits: what each was, what readers and the model made of it. Read `Rows`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from saeflow.measures.erasure.edited_texts import Outcome
from saeflow.measures.erasure.edits import Edit
from saeflow.measures.erasure.prepare import Asked
from saeflow.measures.erasure.readers import Reading
from saeflow.metrics.erasure import EDITS, READINGS, TEXTS


class Rows:
    """Gathers what is measured of edits, one after the other.

    ``edits.parquet`` has a row per edit: its number ``edit``, the ``task`` whose concept it is
    about, ``kind``, ``way``, ``n_features``, ``strength`` and ``latents`` of
    `saeflow.measures.erasure.edits.Edit`, and ``distance``, the norm of the difference of the
    classes' means. ``readings.parquet`` has one per edit, task that is looked for (``of``) and test
    ``example``: its ``label``, and the log-odds ``old`` and ``fresh`` of readers. ``texts.parquet``
    has one per edit and text that the model read: ``example`` and ``label``, ``tokens`` and ``ce``,
    the cross-entropy summed over these, in nats; ``logit_difference`` of the words of the classes,
    NaN where there are none; and ``end_score``, the log-odds read at the model's end.
    """

    def __init__(self) -> None:
        self._edits: list[dict] = []
        self._readings: list[dict[str, np.ndarray]] = []
        self._texts: list[dict[str, np.ndarray]] = []

    def add(
        self,
        asked: Asked,
        edit: Edit,
        distance: float,
        outcome: Outcome,
        n_tokens: np.ndarray,
        readings: Iterable[Reading],
    ) -> None:
        """Add an edit of a concept.

        Parameters
        ----------
        asked
            The concept, with the texts that the model read.
        edit, distance
            What was done, and the distance between the means of the classes.
        outcome, n_tokens
            What came of it, and on how many scored tokens of each text.
        readings
            What readers made of it.
        """
        number = len(self._edits)
        self._edits.append(
            {
                "edit": number, "task": asked.concept.name, "kind": edit.kind, "way": edit.way,
                "n_features": edit.n_features, "strength": edit.strength, "distance": distance,
                "latents": list(edit.latents),
            }
        )  # fmt: skip
        for one in readings:
            own, n = one.concept.test, len(one.old)
            self._readings.append(
                {
                    "edit": np.full(n, number), "of": np.full(n, one.concept.name, dtype=object),
                    "example": own.numbers, "label": own.labels, "old": one.old.astype(np.float32),
                    "fresh": one.fresh.astype(np.float32),
                }
            )  # fmt: skip
        ends = outcome.ends
        self._texts.append(
            {
                "edit": np.full(len(ends), number), "example": asked.texts.numbers,
                "label": asked.texts.labels, "tokens": n_tokens, "ce": outcome.ce,
                "logit_difference": asked.spoken(ends),
                "end_score": asked.end(ends.double().cpu().numpy()),
            }
        )  # fmt: skip

    def write(self, directory: Path) -> None:
        """Write the three tables into a directory."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        latents = pa.array([one["latents"] for one in self._edits], pa.list_(pa.int64()))
        names = [name for name in self._edits[0] if name != "latents"]
        edits = {name: pa.array([one[name] for one in self._edits]) for name in names}
        pq.write_table(pa.table({**edits, "latents": latents}), directory / EDITS)
        for file, parts in ((READINGS, self._readings), (TEXTS, self._texts)):
            pq.write_table(pa.table(_joined(parts)), directory / file)


def _joined(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
