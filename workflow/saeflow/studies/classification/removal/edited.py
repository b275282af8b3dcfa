"""The edits of one measurement, and the numbers that tables form of them. Read `Edited`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.erasure import EDITS, NONE, READINGS, TEXTS
from saeflow.metrics.intervals import Estimate, form, interval, resample
from saeflow.metrics.registry import METRICS
from saeflow.studies.classification.scoring import Resamples, aucs, text_weights, weighted_auc
from saeflow.tables.builders import columns
from saeflow.tables.runs import Run

AUCS = ("auc", "old_auc", "clean_auc", "auc_lost")
_SUMS = ("ce", "logit_difference", "end_score")
_SAME = ("task", "kind", "way", "n_features", "strength")


class Forming:
    """How numbers are formed, and those of a hook that need no SAE, which its SAEs share.

    ``metrics`` are formed of sums over texts, which are resampled ``bootstrap`` times.
    """

    def __init__(self, metrics: Sequence[str], bootstrap: int, seed: int) -> None:
        self._metrics, self._resamples = metrics, Resamples(bootstrap, seed)
        self.known: dict[tuple, dict[str, Any]] = {}

    def done(self, texts: pd.DataFrame, clean: pd.DataFrame) -> dict[str, Any]:
        """Return the metrics of an edit, of rows of the same texts with it and without."""
        sums = {"tokens": texts["tokens"].to_numpy(float), "texts": np.ones(len(texts))}
        sums["worded"] = texts["logit_difference"].notna().to_numpy(float)
        for name in _SUMS:
            sums[name], sums[f"{name}_clean"] = (
                rows[name].fillna(0.0).to_numpy(float) for rows in (texts, clean)
            )
        totals = {name: values.sum() for name, values in sums.items()}
        samples, seed = self._resamples
        drawn = resample(sums, samples=samples, seed=seed) if samples else {}
        found = {name: form(METRICS[name].formula, totals, drawn) for name in self._metrics}
        extent = {"n_texts": len(texts), "n_text_tokens": int(totals["tokens"])}
        return {**columns(found), **extent}

    def found(self, edited: pd.DataFrame, clean: pd.DataFrame) -> dict[str, Any]:
        """Return the AUCs of readers of the same examples, edited and as they are."""
        labels = edited["label"].to_numpy()
        one = np.zeros(len(labels), dtype=int)
        given = zip(AUCS, (edited["fresh"], edited["old"], clean["old"]), strict=False)
        scores = {name: values.to_numpy() for name, values in given}
        values = {name: aucs(one, labels, own)[0] for name, own in scores.items()}
        drawn = dict.fromkeys(values, np.empty(0))
        if self._resamples.n:
            weights = text_weights(edited["example"].to_numpy(), self._resamples)
            drawn = {name: weighted_auc(labels, own, weights) for name, own in scores.items()}
        for of in (values, drawn):
            of["auc_lost"] = of["clean_auc"] - of["auc"]
        estimates = {name: Estimate(float(values[name]), *interval(drawn[name])) for name in AUCS}
        return {**columns(estimates), "n_test": len(labels)}


class Edited:
    """What one SAE's measurement has of each edit; ``forming`` is of its model, hook and texts.

    Attributes
    ----------
    read : list of str
        The tasks whose concepts are looked for.
    """

    def __init__(self, run: Run, forming: Forming) -> None:
        record = run.records["erasure"]
        self.read: list[str] = record.facts["read"]
        self._edits, self._forming = record.table(EDITS), forming
        self._texts = dict(iter(record.table(TEXTS).groupby("edit")))
        self._readings = dict(iter(record.table(READINGS).groupby(["edit", "of"])))
        none = self._edits[self._edits["kind"] == NONE]
        self._clean = dict(zip(none["task"], none["edit"], strict=True))

    def of_kind(self, kind: str) -> Iterator[Any]:
        """Yield the edits of a kind, as rows with the columns of the table as attributes."""
        yield from self._edits[self._edits["kind"] == kind].itertuples()

    def done(self, edit: Any) -> dict[str, Any]:
        """Return what an edit does to the texts that the model reads, as columns."""
        texts = self._texts[edit.edit], self._texts[self._clean[edit.task]]
        return self._once(edit, "", lambda: self._forming.done(*texts))

    def found(self, edit: Any, of: str) -> dict[str, Any]:
        """Return what readers find of the concept of a task under an edit, as columns."""
        readings = self._readings[edit.edit, of], self._readings[self._clean[edit.task], of]
        return self._once(edit, of, lambda: self._forming.found(*readings))

    def _once(self, edit: Any, of: str, make: Any) -> dict[str, Any]:
        if edit.n_features:
            return make()
        key = (of, *(getattr(edit, name) for name in _SAME))
        if key not in self._forming.known:
            self._forming.known[key] = make()
        return self._forming.known[key]
