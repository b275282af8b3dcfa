"""What latents are, by hand; cosines against dense ones."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from saeflow.measures.codes import status
from saeflow.measures.codes.status import status_of

LIMITS = {"least": 10, "duplicate": 0.99}
A, B, C = (1.0, 0.0), (0.0, 1.0), (0.6, 0.8)


def told(rows, active, **limits):
    return status_of(torch.tensor(rows), np.array(active), **{**LIMITS, **limits})


def test_each_latent_is_one_of_four_things():
    nearly_a = (2.0, 0.1)
    found = told([A, nearly_a, B, A, B, C], [50, 60, 0, 9, 10, 20])
    assert found["status"].tolist() == ["duplicate", "live", "dead", "rare", "live", "live"]
    assert found["twin"].tolist() == [1, -1, -1, -1, -1, -1]
    cosines = [np.nan, (1.2 + 0.08) / np.hypot(2, 0.1), np.nan, np.nan, 0.8, 0.8]
    np.testing.assert_allclose(found["nearest"], cosines, rtol=1e-6)


def test_of_equal_ones_the_first_is_kept_and_opposite_ones_are_two():
    found = told([A, A, (-1.0, 0.0), A], [20, 20, 20, 20], duplicate=1.0)
    assert found["status"].tolist() == ["live", "duplicate", "live", "duplicate"]
    assert found["twin"].tolist()[:3] == [-1, 0, -1] and found["twin"][3] in (0, 1)
    np.testing.assert_allclose(found["nearest"], [-1, np.nan, -1, np.nan])


@pytest.mark.parametrize("active", [[0, 0], [0, 9], [0, 10]])
def test_where_fewer_than_two_are_live_none_is_near(active):
    found = told([A, A], active)
    assert np.isnan(found["nearest"]).all() and (found["twin"] == -1).all()


@pytest.mark.parametrize("tile", [1, 7, 64, 1000])
def test_tiles_change_nothing_and_agree_with_the_dense_product(monkeypatch, tile):
    monkeypatch.setattr(status, "_TILE_ROWS", tile)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(90, 5)).astype(np.float32)
    rows[rng.permutation(90)[:30]] = 3 * rows[rng.integers(0, 90, 30)]
    rows[7] = 0
    active = rng.integers(0, 40, 90)
    found = status_of(torch.from_numpy(rows), active, least=10, duplicate=0.97)
    unit = F.normalize(torch.from_numpy(rows).double(), dim=1).numpy()
    cosines = unit @ unit.T
    for i in range(90):
        rank = [(-active[j], j) < (-active[i], i) and active[j] >= 10 for j in range(90)]
        twins = np.flatnonzero(rank & (cosines[i] > 0.97 - 1e-6))
        expected = "dead" if active[i] == 0 else "rare" if active[i] < 10 else "live"
        if expected == "live" and len(twins):
            expected = "duplicate"
            assert cosines[i, found["twin"][i]] == pytest.approx(cosines[i, twins].max())
            assert found["twin"][i] in twins
        assert found["status"][i] == expected
    live = found["status"] == "live"
    cosines[np.diag_indices(90)] = -np.inf
    np.testing.assert_allclose(
        found["nearest"][live], cosines[np.ix_(live, live)].max(1), atol=1e-6
    )
    assert np.isnan(found["nearest"][~live]).all() and 0 < (found["status"] == "duplicate").sum()
