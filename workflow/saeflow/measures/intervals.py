"""Bootstrap intervals over documents, for every metric that is formed from sums.

Tokens of one document are not independent, so documents are what is drawn. All metrics of one
measurement share the same draws; so do two SAEs measured on the same documents with the same
seed, which makes their difference a paired one. Read `estimates` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

LEVEL = 0.95
NORMAL_QUANTILE = 1.959963984540054  # two-sided 95 % of the standard normal
MIN_DOCUMENTS = 2

# Draws held in memory at a time: 2**22 counts are 32 MiB.
_BLOCK_COUNTS = 1 << 22

Compute = Callable[[Mapping[str, np.ndarray]], np.ndarray]


class Estimate(NamedTuple):
    """A metric and its interval.

    Attributes
    ----------
    value : float or None
        None where the metric is undefined (0 / 0).
    low, high : float or None
        The central 95 % of the bootstrap distribution; None where there is none.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


def estimates(
    formulas: Mapping[str, Compute],
    documents: Mapping[str, np.ndarray],
    *,
    constants: Mapping[str, float],
    samples: int,
    seed: int,
) -> dict[str, Estimate]:
    """Form each metric from all documents, and its interval from resampled ones.

    Parameters
    ----------
    formulas
        Metric name -> `compute` of its formula.
    documents
        Sum name -> (n_documents,) float64, the sum over each document's tokens.
    constants
        Values that are not summed (``d_in``).
    samples
        Number of resamples.
    seed
        Seed of the draws.

    Returns
    -------
    dict
        Metric name -> `Estimate`; without interval for fewer than two documents.
    """
    totals = {name: column.sum() for name, column in documents.items()} | dict(constants)
    resampled = resample(documents, samples=samples, seed=seed) | dict(constants)
    result = {}
    for name, compute in formulas.items():
        with np.errstate(divide="ignore", invalid="ignore"):
            result[name] = _estimate(compute(totals), compute(resampled))
    return result


def resample(
    documents: Mapping[str, np.ndarray], *, samples: int, seed: int
) -> dict[str, np.ndarray]:
    """Sum each column over documents drawn with replacement.

    Parameters
    ----------
    documents
        Sum name -> (n_documents,) float64.
    samples, seed
        As in `estimates`.

    Returns
    -------
    dict
        Sum name -> (samples,) float64; (0,) for fewer than two documents, which cannot vary.
    """
    names = sorted(documents)
    table = np.stack([np.asarray(documents[name], dtype=np.float64) for name in names], axis=1)
    if len(table) < MIN_DOCUMENTS:
        return {name: np.empty(0) for name in names}
    sums = np.concatenate([counts @ table for counts in _draws(len(table), samples, seed)])
    return dict(zip(names, sums.T, strict=True))


def interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """Return the percentile interval of bootstrap values (samples,), or two None."""
    if not values.size or not np.isfinite(values).all():
        return None, None
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def as_record(found: Mapping[str, Estimate]) -> dict[str, dict[str, Any]]:
    """Return estimates as the ``metrics`` of a record."""
    return {name: estimate._asdict() for name, estimate in found.items()}


def _estimate(value: np.ndarray, resampled: np.ndarray) -> Estimate:
    finite = float(value) if np.isfinite(value) else None
    return Estimate(finite, *interval(np.asarray(resampled)))


def _draws(n_documents: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each document is drawn, (block, n_documents) float64."""
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK_COUNTS // n_documents)
    for start in range(0, samples, block):
        n = min(block, samples - start)
        drawn = rng.integers(n_documents, size=(n, n_documents))
        # One histogram for the whole block: row r counts in its own range of bins.
        shifted = drawn + np.arange(n)[:, None] * n_documents
        counts = np.bincount(shifted.ravel(), minlength=n * n_documents)
        yield counts.reshape(n, n_documents).astype(np.float64)
