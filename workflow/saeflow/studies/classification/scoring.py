"""What fits of probes score on the texts that they were tested on: AUC and accuracy, resampled too.

A resampled text counts as often as a Poisson number of mean one says, which belongs to the text
alone: it counts as often in every fit, task and SAE, so that differences are paired. Nothing here
chooses anything; `saeflow.studies.classification.choosing` does. Read `Scored`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from saeflow.errors import DamagedError
from saeflow.tables.runs import Record

FITS, SCORES = "fits.parquet", "scores.parquet"
AUC, ACCURACY = "auc", "accuracy"
_KEPT_TEXTS = 1 << 16
_LARGEST = 2**31
"""What 32 bits do not hold any more; they are ten times as fast here as 64."""


class Resamples(NamedTuple):
    """How texts, or datasets, are resampled for intervals.

    Attributes
    ----------
    n : int
        How often; 0 for no intervals.
    seed : int
        Of the draws.
    """

    n: int = 0
    seed: int = 0


class Scored:
    """The fits of one measurement of probes, and what their scores give.

    Parameters
    ----------
    record
        Of a measure that writes `FITS` and `SCORES`; its ``tasks`` say of each task its dataset.

    Attributes
    ----------
    table : DataFrame
        A row per fit, by its number: the columns of `FITS`, and ``dataset``, ``n_test``, ``auc``
        (NaN where texts of one class were tested) and ``accuracy``.

    Raises
    ------
    DamagedError
        If a fit has no scores, or a task no dataset.
    """

    def __init__(self, record: Record) -> None:
        fits = record.table(FITS).sort_values("fit", kind="stable").set_index("fit", drop=False)
        scores = record.table(SCORES)
        fit = scores["fit"].to_numpy()
        order = np.argsort(fit, kind="stable")
        self._examples, self._labels, self._scores = (
            scores[name].to_numpy()[order] for name in ("example", "label", "score")
        )
        numbers, starts, counts = np.unique(fit[order], return_index=True, return_counts=True)
        if not np.array_equal(numbers, fits.index):
            raise DamagedError(
                "fits and scores are not of the same fits",
                where=SCORES,
                expected=f"scores of {len(fits):,} fits, those of {FITS}",
                got=f"scores of {len(numbers):,} fits",
            )
        self._slices = dict(zip(numbers, map(slice, starts, starts + counts), strict=True))
        datasets = {name: facts["dataset"] for name, facts in record.facts["tasks"].items()}
        if unknown := set(fits["task"]) - set(datasets):
            raise DamagedError(
                "a task has no dataset",
                where="tasks",
                expected=" | ".join(sorted(datasets)),
                got=min(unknown),
            )
        self.table = fits.assign(
            dataset=fits["task"].map(datasets),
            n_test=counts,
            auc=aucs(fit[order], self._labels, self._scores),
            accuracy=np.add.reduceat((self._scores > 0) == self._labels, starts, dtype=float)
            / counts,
        ).rename_axis(None)
        self._drawn: dict[tuple, np.ndarray] = {}

    def drawn(self, fit: int, value: str, resamples: Resamples) -> np.ndarray:
        """Return a fit's `AUC` or `ACCURACY` on resampled texts, (resamples.n,) float64.

        NaN where all texts that were drawn are of one class.
        """
        key = (fit, value, resamples)
        if key not in self._drawn:
            own = self._slices[fit]
            weights = text_weights(self._examples[own], resamples)
            form = weighted_auc if value == AUC else weighted_accuracy
            self._drawn[key] = form(self._labels[own], self._scores[own], weights)
        return self._drawn[key]


_SCORED: WeakKeyDictionary[Record, Scored] = WeakKeyDictionary()


def scored(record: Record) -> Scored:
    """Return what a record's fits score, formed once for all tables."""
    if record not in _SCORED:
        _SCORED[record] = Scored(record)
    return _SCORED[record]


def aucs(fits: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the share of pairs of a positive and a negative text in the right order, per fit.

    Equal scores count half (Mann-Whitney's U over the number of pairs, from ranks).

    Parameters
    ----------
    fits
        (n,) the number of each score's fit, those of a fit together, in ascending order.
    labels
        (n,) 1 for positive, 0 for negative texts.
    scores
        (n,) higher for what is held for positive.

    Returns
    -------
    ndarray (n_fits,) float64
        NaN where a fit has texts of one class only.
    """
    order = np.lexsort((scores, fits))
    of, score, positive = fits[order], scores[order], labels[order] == 1
    if not len(of):
        return np.empty(0)
    first = np.r_[True, of[1:] != of[:-1]]
    starts = np.flatnonzero(first)
    new = first | np.r_[True, score[1:] != score[:-1]]
    begins = np.flatnonzero(new)
    ends = np.r_[begins[1:], len(of)]
    ranks = ((begins + 1 + ends) / 2)[np.cumsum(new) - 1]
    ranks -= starts[np.cumsum(first) - 1]
    n = np.diff(np.r_[starts, len(of)])
    n_positive = np.add.reduceat(positive, starts, dtype=float)
    above = np.add.reduceat(np.where(positive, ranks, 0), starts)
    with np.errstate(invalid="ignore"):
        found = above - n_positive * (n_positive + 1) / 2
        return found / (n_positive * (n - n_positive))


def weighted_auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the AUC of one fit where texts count several times or not at all.

    Parameters
    ----------
    labels, scores
        (n,), as of `aucs`.
    weights
        (n, samples) whole numbers, how often each text counts.

    Returns
    -------
    ndarray (samples,) float64
        NaN where a class does not count.
    """
    exact = np.int32 if 4 * len(labels) ** 2 < _LARGEST else np.int64
    order = np.argsort(scores, kind="stable")
    positive = labels[order] == 1
    score, counts = scores[order], weights[order].astype(exact)
    of_positive, of_negative = counts[positive], counts[~positive]
    below = np.zeros((len(of_negative) + 1, weights.shape[1]), exact)
    np.cumsum(of_negative, axis=0, out=below[1:])
    first, last = (
        np.searchsorted(score[~positive], score[positive], side) for side in ("left", "right")
    )
    pairs = np.einsum("ij,ij->j", of_positive, below[first] + below[last])
    with np.errstate(invalid="ignore"):
        return pairs / (2.0 * of_positive.sum(axis=0) * below[-1])


def weighted_accuracy(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the share of texts on the right side of zero, likewise, (samples,) float64."""
    right = weights[(scores > 0) == (labels == 1)].sum(axis=0, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        return right / weights.sum(axis=0, dtype=np.int64).astype(float)


def text_weights(examples: np.ndarray, resamples: Resamples) -> np.ndarray:
    """Return how often each text counts in each resample, (n, resamples.n) uint8.

    Poisson numbers of mean one stand for drawing with replacement (Chamandy et al. 2012, Estimating
    uncertainty for massive data streams).

    The seed and a text's number (n,) among the labelled ones alone decide.
    """
    return np.stack([_weights(int(example), *resamples) for example in examples])


@lru_cache(maxsize=_KEPT_TEXTS)
def _weights(example: int, samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng((seed, example)).poisson(1.0, samples).astype(np.uint8)
