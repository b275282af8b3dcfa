"""What a table of published numbers beside ours is made of: claims, and numbers over SAEs.

Which SAEs a claim is about, and its rule, are the study's. Read `Claim` and `Values`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

SAME, OTHER, ABSENT = "as published", "not as published", "not made"
YES, BUG = "yes", "bug"
"""Whether a published number is what it says."""
MEAN, MEDIAN, RATIO = "mean over SAEs", "median over SAEs", "ratio of sums over SAEs"

_LEAST_LAYERS = 3


class Claim(NamedTuple):
    """One published number or relation beside ours."""

    claim: str
    """In words."""
    published: float
    """The publication's number."""
    ours: float
    """Over SAEs, as ``statistic`` says."""
    lowest: float
    highest: float
    """Of single SAEs."""
    n_saes: int
    """Of which ours is made."""
    statistic: str
    """`MEAN`, `MEDIAN` or `RATIO`."""
    n_excluded: int
    """SAEs that were made so and are no part of ours."""
    excluded: str
    """Why these were left out, and how many for each reason."""
    verdict: str
    """`SAME`, `OTHER` or `ABSENT`."""
    rule: str
    """By what the verdict was given."""


class Row(NamedTuple):
    """A claim, and whether what was published is what it says: `YES` or `BUG`."""

    claim: Claim
    comparable: str


class Values(NamedTuple):
    """A number over SAEs."""

    ours: float
    """NaN for no SAEs."""
    of_saes: np.ndarray
    """(n,): those of single SAEs."""
    n_saes: int
    """SAEs of which it is made."""
    statistic: str
    """`MEAN`, `MEDIAN` or `RATIO`."""
    n_noise: int = 0
    """SAEs whose own number is noise, so that they are left out."""

    @classmethod
    def mean(cls, values: pd.Series) -> Values:
        """Return the mean of values by SAE; undefined ones are left out."""
        found = values.dropna().astype(float)
        return cls(_of(np.mean, found), found.to_numpy(), found.index.nunique(), MEAN)

    @classmethod
    def median(cls, values: pd.Series, noise: pd.Series) -> Values:
        """Return the median of values by SAE, without those that are undefined or ``noise``."""
        found = values[~noise].dropna().astype(float)
        n_noise = int((noise & values.notna()).sum())
        return cls(_of(np.median, found), found.to_numpy(), found.index.nunique(), MEDIAN, n_noise)

    @classmethod
    def ratio(cls, above: pd.Series, below: pd.Series) -> Values:
        """Return the sum of ``above`` over that of ``below`` (not negative), by SAE."""
        some = below > 0
        ours = float(above.sum() / below.sum()) if some.any() else np.nan
        found = (above / below)[some].to_numpy(float)
        return cls(ours, found, below.index.nunique(), RATIO)

    @classmethod
    def trends(cls, table: pd.DataFrame, value: str, series: Sequence[str]) -> Values:
        """Return the rank correlation with the layer, over series of at least three layers.

        ``table`` has columns ``block``, ``value`` and those of ``series``, whose rows belong
        together.
        """
        found = {}
        for key, rows in table.dropna(subset=[value]).groupby(list(series), sort=False):
            if rows["block"].nunique() >= _LEAST_LAYERS:
                found[key] = rank_correlation(rows["block"], rows[value])
        return cls.mean(pd.Series(found, dtype=float))

    def claim(
        self,
        name: str,
        published: float,
        rule: str,
        *,
        holds: bool,
        n_excluded: int = 0,
        excluded: str = "",
    ) -> Claim:
        """Return a claim about this number, with the verdict on it."""
        ends = (self.of_saes.min(), self.of_saes.max()) if len(self.of_saes) else (np.nan,) * 2
        verdict = (SAME if holds else OTHER) if np.isfinite(self.ours) else ABSENT
        found = (self.ours, *map(float, ends), self.n_saes, self.statistic)
        return Claim(name, published, *found, n_excluded, excluded, verdict, rule)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Spearman's; NaN where one does not vary."""
    ranks = [pd.Series(list(one), dtype=float).rank().to_numpy() for one in (x, y)]
    if any(np.ptp(one) == 0 for one in ranks):
        return np.nan
    return float(np.corrcoef(*ranks)[0, 1])


def _of(statistic: Callable[[pd.Series], float], values: pd.Series) -> float:
    return float(statistic(values)) if len(values) else np.nan
