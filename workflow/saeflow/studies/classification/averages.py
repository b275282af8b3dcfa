"""Numbers of tasks, differences of them, and means over tasks with intervals. Read `ByTask`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import Estimate, form, interval, resample
from saeflow.studies.classification.scoring import Resamples

FEW_DATASETS = 10
"""Below this, datasets are too few to be resampled, and texts are."""
DATASETS, TEXTS = "datasets", "texts"


class Average(NamedTuple):
    """A mean over tasks.

    Attributes
    ----------
    estimate : Estimate
        With the interval; undefined for no tasks.
    n_tasks, n_datasets : int
        Over which.
    resampled : str
        What the interval is over: `DATASETS`, each with all its tasks; or `TEXTS` of these tasks,
        where datasets are fewer than `FEW_DATASETS`. The first says what other datasets would
        give, the second what other texts of the same ones would.
    """

    estimate: Estimate
    n_tasks: int
    n_datasets: int
    resampled: str

    def columns(self, name: str) -> dict[str, float | None]:
        """Return name, name_low and name_high as columns."""
        ends = ("", "_low", "_high")
        return {f"{name}{end}": v for end, v in zip(ends, self.estimate, strict=True)}

    def extent(self) -> dict[str, int | str]:
        """Return what it is over as columns."""
        names = ("n_tasks", "n_datasets", "resampled")
        return {name: getattr(self, name) for name in names}


class ByTask:
    """A number of each task, and the same on resampled texts.

    Parameters
    ----------
    datasets
        Task -> its dataset.
    values
        (n_tasks,) the numbers; tasks without one are left out.
    draw
        Gives (n_tasks, resamples.n) of resampled texts; called where they are needed.
    resamples
        How they are resampled.
    """

    def __init__(
        self,
        datasets: pd.Series,
        values: np.ndarray,
        draw: Callable[[], np.ndarray],
        resamples: Resamples,
    ) -> None:
        there = np.isfinite(values)
        self.datasets, self.resamples = datasets[there], resamples
        self.values = np.asarray(values, float)[there]
        self._there, self._draw = there, draw
        self._drawn: np.ndarray | None = None

    @property
    def tasks(self) -> pd.Index:
        """The tasks."""
        return self.datasets.index

    def drawn(self) -> np.ndarray:
        """Return the numbers on resampled texts, (n_tasks, resamples.n)."""
        if self._drawn is None:
            self._drawn = self._draw()[self._there]
        return self._drawn

    def of(self, tasks: pd.Index) -> ByTask:
        """Return the numbers of some of the tasks, in their order."""
        at = self.tasks.get_indexer(tasks)
        values = self.values[at]
        return ByTask(self.datasets.iloc[at], values, lambda: self.drawn()[at], self.resamples)

    def with_(
        self, other: ByTask, combine: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> ByTask:
        """Return what two numbers make of each task that has both; resampled texts are the same."""
        both = self.tasks[self.tasks.isin(other.tasks)]
        one, two = self.of(both), other.of(both)
        values = combine(one.values, two.values)

        def draw() -> np.ndarray:
            return combine(one.drawn(), two.drawn())

        return ByTask(one.datasets, values, draw, self.resamples)

    def minus(self, other: ByTask) -> ByTask:
        """Return the difference."""
        return self.with_(other, np.subtract)

    def wins(self, other: ByTask) -> ByTask:
        """Return 1 where this number is the larger one, and 1/2 where they are the same."""
        return self.with_(other, _wins)

    def estimates(self, name: str) -> pd.DataFrame:
        """Return name, name_low and name_high of each task, with intervals over texts."""
        found = [
            Estimate(float(value), *interval(drawn))
            for value, drawn in zip(self.values, self.drawn(), strict=True)
        ]
        columns = [f"{name}{end}" for end in ("", "_low", "_high")]
        return pd.DataFrame(found, index=self.tasks, columns=columns, dtype=float)

    def average(self) -> Average:
        """Return the mean over tasks, with an interval if there are resamples."""
        n_datasets = int(self.datasets.nunique())
        kind = DATASETS if n_datasets >= FEW_DATASETS else TEXTS
        if not len(self.values):
            return Average(Estimate(None), 0, 0, kind)
        samples, seed = self.resamples
        if kind == DATASETS or not samples:
            rows = pd.DataFrame({"sum": self.values, "n": 1.0}, index=self.datasets.to_numpy())
            sums = {name: column.to_numpy() for name, column in rows.groupby(level=0).sum().items()}
            totals = {name: column.sum() for name, column in sums.items()}
            drawn = resample(sums, samples=samples, seed=seed) if samples else {}
            estimate = form(lambda s: s["sum"] / s["n"], totals, drawn)
        else:
            drawn = np.nanmean(self.drawn(), axis=0)
            estimate = Estimate(float(self.values.mean()), *interval(drawn))
        return Average(estimate, len(self.values), n_datasets, kind)


def _wins(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    undefined = np.isnan(one) | np.isnan(two)
    return np.where(undefined, np.nan, (one > two) + 0.5 * (one == two))
