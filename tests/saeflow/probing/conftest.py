"""Inputs with a label that can be told from them."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def states(rng):
    """Dense inputs (300, 12) of unlike sizes off the origin, and labels with some noise."""
    x = rng.normal(size=(300, 12)) * np.geomspace(20, 0.1, 12) + rng.normal(size=12)
    z = (x - x.mean(0)) / x.std(0)
    return x, z @ rng.normal(size=12) + 2 * rng.normal(size=300) > 0


@pytest.fixture
def codes(rng):
    """Sparse inputs (300, 40), five of whose columns tell the label, with a column of zeros."""
    positive = rng.random(300) < 0.5
    x = np.maximum(rng.normal(size=(300, 40)) - 0.8, 0) * np.geomspace(10, 0.1, 40)
    x[:, :5] *= 1 + positive[:, None]
    x[:, -1] = 0
    return csr_matrix(x), positive
