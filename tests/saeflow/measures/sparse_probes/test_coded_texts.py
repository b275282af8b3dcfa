"""What SAEs make of states of texts, held against dense arithmetic."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from saeflow.errors import SaeflowError
from saeflow.measures.sparse_probes import coded_texts
from saeflow.measures.sparse_probes.coded_texts import features_on, pooled_codes, read_states
from tiny_saes import make_sae

D, D_SAE, N = 12, 30, 25


an_sae = partial(make_sae, D_SAE, D, bias=-0.3, b_dec=0.1)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(1.0, 1.0, (N, D)).astype(np.float32)


def read(coders, x, means=None):
    """Return what each SAE makes of states, by its place."""
    means = means or [(slice(0, len(x)), x.mean(0, dtype=np.float64))]
    found = {}
    for places, results in read_states(coders, x, means):
        found |= dict(zip(places, results, strict=True))
    return [found[place] for place in range(len(coders))]


def test_sums_are_those_of_dense_reconstructions(x):
    sae = an_sae()
    (found,) = read([sae], x)
    dense = sae.encode(torch.from_numpy(x)).numpy()
    np.testing.assert_array_equal(found.codes.toarray(), dense)
    x_hat = dense.astype(float) @ sae.W_dec.numpy().astype(float) + 0.1
    np.testing.assert_allclose(found.decoded, x_hat, rtol=1e-4, atol=1e-5)
    wide, mean = x.astype(float), x.mean(0, dtype=float)
    expected = {
        "active": (dense > 0).sum(1),
        "squared_error": ((x_hat - wide) ** 2).sum(1),
        "squared_deviation": ((wide - mean) ** 2).sum(1),
        "directed": np.ones(N),
        "cosine": (x_hat * wide).sum(1) / np.sqrt((x_hat**2).sum(1) * (wide**2).sum(1)),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found.sums[name], values, rtol=1e-4, err_msg=name)


def test_the_centred_state_is_read_and_held_against_itself(x):
    (found,) = read([an_sae()], x)
    (alone,) = read([an_sae()], x - x.mean(1, keepdims=True))
    for name in ("active", "squared_error", "squared_deviation", "cosine"):
        np.testing.assert_allclose(
            found.sums[f"{name}_centred"], alone.sums[name], rtol=1e-3, err_msg=name
        )
    assert (found.sums["squared_error_centred"] != found.sums["squared_error"]).all()


def test_an_sae_that_centres_by_itself_has_the_same_error_either_way(x):
    (found,) = read([an_sae(input_norm="center")], x)
    np.testing.assert_allclose(
        found.sums["squared_error"], found.sums["squared_error_centred"], rtol=1e-4
    )
    np.testing.assert_array_equal(found.sums["active"], found.sums["active_centred"])


def test_deviations_are_from_the_mean_of_the_part(x):
    means = [(slice(0, 10), np.zeros(D)), (slice(10, N), np.ones(D))]
    (found,) = read([an_sae()], x, means)
    expected = np.concatenate([(x[:10] ** 2).sum(1), ((x[10:] - 1) ** 2).sum(1)])
    np.testing.assert_allclose(found.sums["squared_deviation"], expected, rtol=1e-5)


def test_batches_change_nothing(x, monkeypatch):
    (whole,) = read([an_sae()], x)
    monkeypatch.setattr(coded_texts, "BATCH_ROWS", 7)
    (parts,) = read([an_sae()], x)
    assert (whole.codes != parts.codes).nnz == 0
    for name, values in whole.sums.items():
        np.testing.assert_allclose(values, parts.sums[name], rtol=1e-5)


def test_saes_of_one_encoder_share_their_codes(x):
    first = an_sae()
    tuned = replace(first, weights={**first.weights, "W_dec": 2 * first.W_dec})
    one, other, third = read([first, tuned, an_sae(1)], x)
    assert one.codes is other.codes and one.codes is not third.codes
    assert (one.sums["squared_error"] != other.sums["squared_error"]).all()
    (alone,) = read([tuned], x)
    np.testing.assert_array_equal(other.decoded, alone.decoded)


def test_a_transcoder_has_no_error(x):
    (found,) = read([an_sae(target={"hook": "mlp_out.1"})], x)
    assert found.sums.keys() == {"active", "active_centred"}
    assert found.decoded.shape == (N, D)


def test_latents_that_are_no_numbers_fail_alone(x):
    bad = an_sae(1)
    bad.weights["b_enc"][3] = torch.inf
    good, failed = read([an_sae(), bad], x)
    assert isinstance(failed, SaeflowError) and "finite" in str(failed)
    assert not isinstance(good, SaeflowError)


def test_pooled_codes_are_pooled_of_all_tokens_block_by_block(x, monkeypatch):
    """Pooling itself is that of states; here each text is pooled by its sum."""
    examples = np.repeat([0, 1, 2, 3, 4], [3, 8, 1, 6, 7])
    sums = csr_matrix((np.ones(N, np.float32), (examples, np.arange(N))), shape=(5, N))
    states = SimpleNamespace(x=x, examples=examples, pool=lambda values, how: sums @ values)
    monkeypatch.setattr(coded_texts, "_BLOCK_ROWS", 5)
    monkeypatch.setattr(coded_texts, "BATCH_ROWS", 4)
    sae = an_sae()
    found = pooled_codes(sae, states, ["any"])["any"]
    dense = sae.encode(torch.from_numpy(x)).numpy()
    expected = np.stack([dense[examples == text].sum(0) for text in range(5)])
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5)


def test_features_that_are_on_for_any_and_for_all_texts_are_counted():
    codes = csr_matrix(np.array([[1.0, 0, 2, 0], [1.0, 0, 0, 0], [3.0, 0, 1, 0]]))
    assert features_on(codes) == (3, 2, 1)
    assert features_on(codes[[1]]) == (1, 1, 1)
    assert features_on(codes[:0]) == (0, 0, 0)
