"""Bootstrap intervals over documents, for every metric that is formed from sums.

Tokens of one document are not independent, so documents are what is drawn. All measurements on
as many documents share the draws of a seed, which makes the difference of two of them a paired
one, and the draws are made once. Read `form` first.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from saeflow.metrics.metric import Formula, Sums

LEVEL = 0.95
NORMAL_QUANTILE = 1.959963984540054  # two-sided 95 % of the standard normal
MIN_DOCUMENTS = 2
FEW_DOCUMENTS = 30
"""Below this, resampled documents tell little of others: intervals are too narrow."""

# Draws that are counted at a time: 2**22 counts are 32 MiB in float64.
_BLOCK_COUNTS = 1 << 22
# Draws that are kept for the next measurement: 2**24 counts are 32 MiB in uint16.
_KEPT_COUNTS = 1 << 24
_KEPT = 8


class Estimate(NamedTuple):
    """A metric and its interval."""

    value: float | None
    """None where the metric is undefined (0 / 0)."""
    low: float | None = None
    high: float | None = None
    """The central 95 % of the bootstrap distribution; None where there is none."""


def form(formula: Formula, totals: Sums, resampled: Sums) -> Estimate:
    """Form a number from sums over all documents, and its interval from resampled ones.

    ``totals`` are () by name, ``resampled`` (samples,); these are empty where no interval is
    wanted. There is none either for a number that is formed of constants alone.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(formula(totals))
        drawn = formula(resampled) if resampled else np.empty(0)
    ends = interval(drawn if np.ndim(drawn) else np.empty(0))
    return Estimate(value if np.isfinite(value) else None, *ends)


def totals_and_draws(documents: Sums, samples: int, seed: int) -> tuple[dict, dict]:
    """Return sums over all documents, and those of `resample`; none of these for no samples."""
    totals = {name: column.sum() for name, column in documents.items()}
    return totals, resample(documents, samples=samples, seed=seed) if samples else {}


def resample(documents: Sums, *, samples: int, seed: int) -> dict[str, np.ndarray]:
    """Sum each column (n_documents,) over documents drawn with replacement, (samples,) float64.

    Sums of fewer than two documents, which cannot vary, are (0,).
    """
    names = sorted(documents)
    table = np.stack([np.asarray(documents[name], dtype=np.float64) for name in names], axis=1)
    if len(table) < MIN_DOCUMENTS:
        return {name: np.empty(0) for name in names}
    sums = np.concatenate([counts @ table for counts in draws(len(table), samples, seed)])
    return dict(zip(names, sums.T, strict=True))


def mean_of(values: np.ndarray, samples: int, seed: int) -> Estimate:
    """Return the mean of numbers (n,), and its interval over as many of them as were drawn.

    They are of features, facts or whatever else is drawn in the place of documents; no samples for
    no interval.
    """
    if not len(values):
        return Estimate(None)
    drawn = resample({"": values}, samples=samples, seed=seed)[""] if samples else np.empty(0)
    return Estimate(float(values.mean()), *interval(drawn / len(values)))


def interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """Return the percentile interval of bootstrap values (samples,), or two None."""
    if not values.size or not np.isfinite(values).all():
        return None, None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def draws(n_documents: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each document is drawn, (block, n_documents) float64."""
    make = _kept if n_documents * samples <= _KEPT_COUNTS else _counted
    for counts in make(n_documents, samples, seed):
        yield counts.astype(np.float64)


def _counted(n_documents: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Draw, and yield how often each document is drawn, (block, n_documents) uint16."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_COUNTS // n_documents)
    for start in range(0, samples, block):
        n = min(block, samples - start)
        drawn = rng.integers(n_documents, size=(n, n_documents))
        # One histogram for the whole block: row r counts in its own range of bins.
        shifted = drawn + np.arange(n)[:, None] * n_documents
        counts = np.bincount(shifted.ravel(), minlength=n * n_documents)
        yield counts.reshape(n, n_documents).astype(np.uint16)


@lru_cache(maxsize=_KEPT)
def _kept(n_documents: int, samples: int, seed: int) -> tuple[np.ndarray, ...]:
    return tuple(_counted(n_documents, samples, seed))
