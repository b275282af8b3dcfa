"""What probes of many codes take in memory: far less than the codes would if they were dense."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from saeflow.probing.latents import k_sparse
from saeflow.probing.logistic import logistic
from saeflow.probing.others import published
from training_sets import training

N, D_SAE, L0 = 20_000, 24_000, 64
METHODS = {
    "published": published,
    "k_sparse": lambda given: k_sparse(given, ks=[16, 128], penalties=[0.1]),
    "logistic": lambda given: logistic(given, penalties=[0.01, 0.1]),
}


@pytest.fixture(scope="module")
def many():
    rng = np.random.default_rng(0)
    index = rng.integers(0, D_SAE, (N, L0))
    values = rng.random(N * L0, dtype=np.float32) + 0.1
    x = csr_matrix((values, index.ravel(), np.arange(0, N * L0 + 1, L0)), shape=(N, D_SAE))
    x.sum_duplicates()
    told = np.asarray(x[:, :40].sum(1)).ravel() + 0.3 * rng.normal(size=N)
    return training(x, told > 0.2)


@pytest.mark.parametrize("method", METHODS)
def test_probes_of_20_000_codes_of_24_000_latents_stay_far_below_2_gib(many, method):
    tracemalloc.start()
    try:
        found = METHODS[method](many)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found[-1].converged
    assert peak < 2**28  # beside the codes themselves; dense they are 3.6 GiB
