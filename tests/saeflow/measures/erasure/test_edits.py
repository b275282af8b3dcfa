from functools import partial

import numpy as np
import pytest
import torch

import tiny_saes
from saeflow.measures.erasure.edits import Coded, Edit, dense_edits, feature_edits
from saeflow.measures.erasure.erasers import leace
from saeflow.sae.sparse.codes import Codes

D, D_SAE, N = 6, 20, 80
LABELS = (np.arange(N) % 2).astype(int)


make_sae = partial(tiny_saes.make_sae, D_SAE, D, b_dec=0.3, scale=2.0)


@pytest.fixture
def x():
    rng = np.random.default_rng(1)
    found = rng.standard_normal((N, D)) + np.outer(LABELS, [1.5, 0, 0, -1, 0, 0])
    return found.astype(np.float32)


@pytest.mark.parametrize("input_norm", ["none", "center", "constant_norm"])
def test_features_are_taken_out_and_the_error_stays(x, input_norm):
    sae, rows = make_sae(input_norm=input_norm), torch.from_numpy(x)
    coded = Coded.of(sae, rows)
    latents = (3, 4, 11)
    got = Edit("removal", "features", 3, latents=latents).of(rows, coded)
    scale = torch.ones(N, 1) if coded.codes.frame is None else coded.codes.frame.scale
    dense = coded.codes.dense()[:, list(latents)]
    torch.testing.assert_close(got, rows - scale * (dense @ sae.W_dec[list(latents)]))
    assert (dense > 0).any(0).all()


def test_no_edit_and_silent_features_change_nothing(x):
    rows, sae = torch.from_numpy(x), make_sae()
    sae.weights["b_enc"][7] = -100
    coded = Coded.of(sae, rows)
    assert torch.equal(Edit().of(rows), rows)
    assert torch.equal(Edit("removal", "features", 1, latents=(7,)).of(rows, coded), rows)


def test_dense_edits_are_those_of_the_examples(x):
    tokens = x[::3] + 1
    edits = {(e.kind, e.way, e.strength): e for e in dense_edits(x, LABELS, tokens, [-1.0, 2.0], 0)}
    rows = torch.from_numpy(x)
    difference = x[LABELS == 1].mean(0) - x[LABELS == 0].mean(0)
    for strength in (-1.0, 2.0):
        moved = edits["steering", "mean_difference", strength].of(rows) - rows
        np.testing.assert_allclose(moved, np.tile(strength * difference, (N, 1)), atol=1e-5)
        random = edits["steering", "random_direction", strength].shift
        assert np.linalg.norm(random) == pytest.approx(abs(strength) * np.linalg.norm(difference))
    unit = difference / np.linalg.norm(difference)
    left = edits["removal", "mean_difference", 0.0].of(rows).numpy()
    np.testing.assert_allclose(left @ unit, np.full(N, tokens.mean(0) @ unit), atol=1e-5)
    np.testing.assert_allclose(left - np.outer(left @ unit, unit), x - np.outer(x @ unit, unit),
                               atol=1e-5)  # fmt: skip
    erased = edits["removal", "leace", 0.0].of(rows).numpy()
    np.testing.assert_allclose(
        erased, leace(x, LABELS, changed=tokens, shrunk=True)(x), atol=1e-5
    )  # fmt: skip
    assert len(edits) == 3 + 2 * 2


def test_the_first_features_are_those_whose_means_differ_most(x):
    sae = make_sae()
    codes = sae.encode_sparse(torch.from_numpy(x))
    edits = feature_edits(
        codes, LABELS, sae.W_dec, 2.0, sizes=[1, 4, 500], strengths=[-1.0, 3.0], seed=0
    )
    dense = codes.dense().double().numpy()
    typical = np.array([own[own > 0].mean() if (own > 0).any() else 1 for own in dense.T])
    apart = np.abs(dense[LABELS == 1].mean(0) - dense[LABELS == 0].mean(0)) / typical
    taken = {(e.way, e.n_features): e.latents for e in edits if e.kind == "removal"}
    assert taken["features", 4] == tuple(np.argsort(-apart)[:4])
    assert taken["features", 1] == taken["features", 4][:1]
    up = next(e for e in edits if e.kind == "steering" and e.strength == 3.0)
    row = sae.W_dec[up.latents[0]].numpy()
    own = dense[:, up.latents[0]]
    towards = 1 if own[LABELS == 1].mean() > own[LABELS == 0].mean() else -1
    np.testing.assert_allclose(up.shift, 6.0 * towards * row / np.linalg.norm(row), atol=1e-6)


def test_random_features_are_others_that_are_as_often_active():
    n, d_sae = 200, 60
    rng = np.random.default_rng(0)
    share = np.repeat([0.05, 0.5, 0.9], 20)
    dense = torch.from_numpy((rng.random((n, d_sae)) < share).astype(np.float32))
    labels = (np.arange(n) % 2).astype(int)
    dense[:, 25] = torch.from_numpy((labels * 1.0).astype(np.float32))  # half of the rows
    rows, index = dense.nonzero(as_tuple=True)
    counts = torch.cat([torch.zeros(1, dtype=torch.int64), (dense > 0).sum(1).cumsum(0)])
    codes = Codes(dense[rows, index], index.int(), counts.int(), d_sae)
    edits = feature_edits(
        codes, labels, torch.ones(d_sae, 3), 1.0, sizes=[1, 4], strengths=[], seed=5
    )
    taken = {(e.way, e.n_features): e.latents for e in edits}
    assert taken["features", 1] == (25,)
    (drawn,) = taken["random_features", 1]
    assert 20 <= drawn < 40 and drawn != 25
    assert not set(taken["random_features", 4]) & set(taken["features", 4])
    assert len(set(taken["random_features", 4])) == 4
