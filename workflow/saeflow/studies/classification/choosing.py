"""Fits of a hook's probes and of its SAEs' side by side, and the best of them for each task.

The best is chosen by validation inside the training set; what the test texts give chooses nothing.
Read `Fits`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from saeflow.studies.classification.averages import ByTask
from saeflow.studies.classification.scoring import AUC, Resamples, Scored

BASELINES = ("logistic", "pca", "knn", "boosting", "mlp")
"""Methods that read states, of which the best is chosen."""
SPARSE = ("k_sparse", "logistic")
"""Methods that read an SAE's codes, which are added to the choice."""

CONDITION = ("setting", "level")
"""What training sets were drawn for: what has these in common can be compared."""
_SET = [*CONDITION, "seed", "task"]


class Fits:
    """Fits of several measurements, as one table.

    Parameters
    ----------
    scored
        Measurements; where two fits are equally good, that of the first one is chosen.
    table
        Of the fits, with the columns of `Scored.table` and ``source``, the number of the
        measurement.

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
        return cls(scored, pd.concat(parts, ignore_index=True))

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

    def best(self) -> Fits:
        """Return of each training set the fit of the highest validation AUC.

        Of equal ones, and where none was validated, that of the first measurement, then of the
        first method of `BASELINES` and of others by name, then of the fewest latents.
        """
        names = [*BASELINES, *sorted(set(self.table["method"]) - set(BASELINES))]
        ranked = self.table.assign(
            rank=self.table["method"].map(names.index), worse=-self.table["validation_auc"]
        ).sort_values(["worse", "source", "rank", "k"], kind="stable", na_position="last")
        first = ranked.groupby(_SET, sort=False, dropna=False).head(1)
        return Fits(self._scored, self.table.loc[first.index.sort_values()])

    def by_task(self, resamples: Resamples, *, value: str = AUC) -> ByTask:
        """Return a number of each task, the mean over the seeds of its training sets.

        Parameters
        ----------
        resamples
            How texts are resampled.
        value
            `AUC` or `ACCURACY`.
        """
        groups = self.table.groupby("task", sort=True)
        datasets, values = groups["dataset"].first(), groups[value].mean()

        def draw() -> np.ndarray:
            drawn = [
                np.mean(
                    [
                        self._scored[source].drawn(fit, value, resamples)
                        for source, fit in zip(rows["source"], rows["fit"], strict=True)
                    ],
                    axis=0,
                )
                for _, rows in groups
            ]
            return np.stack(drawn)

        return ByTask(datasets, values.to_numpy(float), draw, resamples)
