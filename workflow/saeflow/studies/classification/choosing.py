"""Fits of a hook's probes and of its SAEs' side by side, and the best of them for each task.

The best is chosen by validation inside the training set; what the test texts give chooses nothing.
Read `Fits`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.studies.classification.averages import ByTask
from saeflow.studies.classification.scoring import AUC, Resamples, Scored, scored
from saeflow.tables.runs import Run

BASELINES = ("logistic", "pca", "knn", "boosting", "mlp")
"""Methods that read states, of which the best is chosen."""
K_SPARSE = "k_sparse"
SPARSE = (K_SPARSE, "logistic")
"""Methods that read an SAE's codes, which are added to the choice."""

CONDITION = ("setting", "level")
"""What training sets were drawn for: what has these in common can be compared."""
_KIND = ["source", "method", "asked"]
_SET = [*CONDITION, "seed", "task"]


class Fits:
    """Fits of several measurements, as one table.

    Parameters
    ----------
    scored
        Measurements; where two fits are equally good, that of the first one is chosen.
    table
        Of the fits, with the columns of `Scored.table`, ``source``, the number of the measurement,
        and ``asked``, how many latents a k-sparse probe was to read, 0 for other methods.

    Attributes
    ----------
    table : DataFrame
        The fits.
    """

    def __init__(self, scored: Sequence[Scored], table: pd.DataFrame) -> None:
        self._scored, self.table = tuple(scored), table

    @classmethod
    def of(cls, *scored: Scored) -> Fits:
        """Return all fits of measurements."""
        parts = [one.table.assign(source=i) for i, one in enumerate(scored)]
        table = pd.concat(parts, ignore_index=True)
        asked = table["k"].where(table["method"] == K_SPARSE, 0)  # the k of others is a choice
        return cls(scored, table.assign(asked=asked))

    def __or__(self, other: Fits) -> Fits:
        """Return the fits of both, the other's after these."""
        shifted = other.table.assign(source=other.table["source"] + len(self._scored))
        table = pd.concat([self.table, shifted], ignore_index=True)
        return Fits((*self._scored, *other._scored), table)

    def where(self, **columns: object) -> Fits:
        """Return the fits with these values in these columns; of a tuple, with any of them."""
        kept = np.ones(len(self.table), bool)
        for name, wanted in columns.items():
            anything = wanted if isinstance(wanted, tuple) else (wanted,)
            kept &= self.table[name].isin(anything).to_numpy()
        return Fits(self._scored, self.table[kept])

    def by(self, *columns: str) -> dict[tuple, Fits]:
        """Return the fits by their values in some columns, sorted by these."""
        groups = self.table.groupby(list(columns), sort=True, dropna=False)
        return {key: Fits(self._scored, rows) for key, rows in groups}

    def of_kinds(self, other: Fits) -> Fits:
        """Return the fits of kinds of probes (measurement, method, asked) that another has."""
        own, kinds = (pd.MultiIndex.from_frame(fits.table[_KIND]) for fits in (self, other))
        return Fits(self._scored, self.table[own.isin(kinds)])

    def best(self) -> Fits:
        """Return of each training set the fit of the highest validation AUC.

        Of equal ones, and where none was validated, that of the first measurement, then of the
        first method of `BASELINES` and of others by name, then of the fewest latents.
        """
        names = [*BASELINES, *sorted(set(self.table["method"]) - set(BASELINES))]
        ranked = self.table[["validation_auc", "source", "k", *_SET]].assign(
            worse=-self.table["validation_auc"], rank=self.table["method"].map(names.index)
        )
        ranked = ranked.sort_values(["worse", "source", "rank", "k"], kind="stable")
        first = ranked.drop_duplicates(_SET).index
        return Fits(self._scored, self.table.loc[np.sort(first)])

    def by_task(self, resamples: Resamples, *, value: str = AUC) -> ByTask:
        """Return a number (`AUC`, `ACCURACY`) of each task, the mean over its training sets."""
        of, datasets, values = (self.table[n].to_numpy() for n in ("task", "dataset", value))
        tasks, first, at = np.unique(of, return_index=True, return_inverse=True)
        means = np.bincount(at, values, len(tasks)) / np.bincount(at, minlength=len(tasks))

        def draw() -> np.ndarray:
            found = np.zeros((len(tasks), resamples.n))
            for task, source, fit in zip(at, self.table["source"], self.table["fit"], strict=True):
                found[task] += self._scored[source].drawn(fit, value, resamples)
            return found / np.bincount(at)[:, None]

        return ByTask(tasks, datasets[first], means, draw, resamples)


def fits_of(run: Run, measure: str) -> Fits:
    """Return the fits of a measure of a run."""
    return Fits.of(scored(run.records[measure]))


def place_of(run: Run) -> tuple[str, str, str]:
    """Return the labelled texts, the model and the hook that a run is about."""
    return run.key.eval_dataset, run.key.model, run.key.hook
