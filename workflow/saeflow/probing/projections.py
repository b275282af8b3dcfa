"""Dense inputs in few directions: as many as an SAE has features, by the post's classifier.

A code of few features says less than a state of many numbers, whatever the features are. So its
probes are held against those of as many principal components, which keep the most variance that so
many directions can, and of as many random directions, which keep about their share of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh

from saeflow.probing.columns import Matrix, dense
from saeflow.probing.fitted import Fitted, Training
from saeflow.probing.others import published

_SEED = 0


def components(training: Training, *, ks: Sequence[int]) -> list[Fitted]:
    """Fit to the projections on the leading principal components of the training set, for each k.

    Components are those of the inputs as they are, centred. Of a k above their number there is no
    fit, but for the smallest, which then takes all.
    """
    x = dense(training.x)
    apart = x - x.mean(0)
    n, d = x.shape
    # of the smaller of the two matrices that have these eigenvectors, or give them
    gram = apart.T @ apart if d <= n else apart @ apart.T
    most = min(max(ks), n, d)
    _, vectors = eigh(gram, subset_by_index=(len(gram) - most, len(gram) - 1))
    axes = (vectors if d <= n else apart.T @ vectors)[:, ::-1]
    own = [k for k in ks if k <= most] or [min(ks)]
    return [_projected(training, axes[:, :k], k) for k in own]


def random_directions(training: Training, *, k: int) -> list[Fitted]:
    """Fit to the projections on k random directions, the same for all inputs of a width."""
    d = training.x.shape[1]
    axes = np.random.default_rng((_SEED, d)).standard_normal((d, k))
    return [_projected(training, axes, k)]


def _projected(training: Training, axes: np.ndarray, k: int) -> Fitted:
    """Fit to x @ axes (d, n_axes), columns of which get unit size, however long an axis is."""

    def project(x: Matrix) -> np.ndarray:
        return dense(x) @ axes

    (found,) = published(training._replace(x=project(training.x), kept={}))
    return found._replace(k=k, score=lambda x: found.score(project(x)))
