"""Numbers of tasks, differences of them, and means over tasks with intervals. Read `ByTask`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import Estimate, form, interval, resample
from saeflow.studies.classification.scoring import Resamples
from saeflow.tables.builders import columns, with_ends

FEW_DATASETS = 10
"""Below this, datasets are too few to be resampled, and texts are."""
DATASETS, TEXTS, PERMUTATIONS = "datasets", "texts", "permutations"


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
        return columns({name: self.estimate})

    def extent(self) -> dict[str, int | str]:
        """Return what it is over as columns, `EXTENT`."""
        return dict(zip(EXTENT, self[1:], strict=True))


EXTENT = Average._fields[1:]


class ByTask:
    """A number of each task, and the same on resampled texts.

    Parameters
    ----------
    tasks
        (n_tasks,) their names, sorted.
    datasets
        (n_tasks,) the dataset of each.
    values
        (n_tasks,) the numbers; tasks without one are left out.
    draw
        Gives (n_tasks, resamples.n) of resampled texts; called where they are needed.
    resamples
        How they are resampled.
    """

    def __init__(
        self,
        tasks: np.ndarray,
        datasets: np.ndarray,
        values: np.ndarray,
        draw: Callable[[], np.ndarray],
        resamples: Resamples,
    ) -> None:
        self._there = np.isfinite(values)
        self.tasks, self.datasets, self.values = (
            column[self._there] for column in (tasks, datasets, values)
        )
        self.resamples = resamples
        self._draw = draw
        self._drawn: np.ndarray | None = None

    def drawn(self) -> np.ndarray:
        """Return the numbers on resampled texts, (n_tasks, resamples.n)."""
        if self._drawn is None:
            self._drawn = self._draw()[self._there]
        return self._drawn

    def of(self, tasks: np.ndarray) -> ByTask:
        """Return the numbers of some tasks, of those that are there."""
        return self._at(np.flatnonzero(np.isin(self.tasks, tasks)))

    def _at(self, at: np.ndarray) -> ByTask:
        columns = (column[at] for column in (self.tasks, self.datasets, self.values))
        return ByTask(*columns, lambda: self.drawn()[at], self.resamples)

    def _with(
        self, other: ByTask, combine: Callable[[np.ndarray, np.ndarray], np.ndarray]
    ) -> ByTask:
        """Return what two numbers make of each task that has both; resampled texts are the same."""
        _, first, second = np.intersect1d(
            self.tasks, other.tasks, assume_unique=True, return_indices=True
        )
        one, two = self._at(first), other._at(second)
        values = combine(one.values, two.values)
        return ByTask(
            one.tasks, one.datasets, values, lambda: combine(one.drawn(), two.drawn()),
            self.resamples,
        )  # fmt: skip

    def minus(self, other: ByTask) -> ByTask:
        """Return the difference."""
        return self._with(other, np.subtract)

    def wins(self, other: ByTask) -> ByTask:
        """Return 1 where this number is the larger one, and 1/2 where they are the same."""
        return self._with(other, _wins)

    def estimates(self, name: str) -> pd.DataFrame:
        """Return name, name_low and name_high of each task, with intervals over texts."""
        found = [
            Estimate(float(value), *interval(drawn))
            for value, drawn in zip(self.values, self.drawn(), strict=True)
        ]
        return pd.DataFrame(
            found, index=pd.Index(self.tasks), columns=with_ends([name]), dtype=float
        )

    def average(self) -> Average:
        """Return the mean over tasks, with an interval if there are resamples."""
        names, at = np.unique(self.datasets, return_inverse=True)
        kind = DATASETS if len(names) >= FEW_DATASETS else TEXTS
        if not len(names):
            return Average(Estimate(None), 0, 0, kind)
        samples, seed = self.resamples
        if kind == DATASETS or not samples:
            sums = {"sum": np.bincount(at, self.values), "n": np.bincount(at).astype(float)}
            totals = {name: column.sum() for name, column in sums.items()}
            drawn = resample(sums, samples=samples, seed=seed) if samples else {}
            estimate = form(lambda s: s["sum"] / s["n"], totals, drawn)
        else:
            drawn = np.nanmean(self.drawn(), axis=0)
            estimate = Estimate(float(self.values.mean()), *interval(drawn))
        return Average(estimate, len(self.values), len(names), kind)


def _wins(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    undefined = np.isnan(one) | np.isnan(two)
    return np.where(undefined, np.nan, (one > two) + 0.5 * (one == two))
