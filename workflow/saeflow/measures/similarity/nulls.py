"""What directions that have nothing in common are like: random ones in the place of an SAE's."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from saeflow.measures.similarity.cosines import unit

_KEPT = 4


@lru_cache(maxsize=_KEPT)
def gaussian(n: int, d: int, seed: int) -> np.ndarray:
    """Return n directions drawn evenly from the sphere in d dimensions, float32."""
    return unit(_generator(seed, 1).standard_normal((n, d)))


@lru_cache(maxsize=_KEPT)
def uniform(n: int, d: int, seed: int) -> np.ndarray:
    """Return n directions whose coordinates are uniform in [0, 1] before they are scaled, float32.

    They lie in one orthant, along the mean: an SAE's rows are nearly as far from all of them, and
    what is found is less than chance gives (post 004 had this control).
    """
    return unit(_generator(seed, 2).random((n, d)))


def shuffled(rows: np.ndarray, seed: int) -> np.ndarray:
    """Return directions (n, d) with the n values of each coordinate in random order, float32.

    Each coordinate keeps its values, such as a mean or an outlier that all rows share; what the
    coordinates of a row have to do with each other is lost.
    """
    return unit(_generator(seed, 3).permuted(rows, axis=0))


def _generator(seed: int, which: int) -> np.random.Generator:
    return np.random.default_rng([seed, which])
