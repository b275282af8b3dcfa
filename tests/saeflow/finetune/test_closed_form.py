"""The closed forms: against least squares on the data themselves, and what must hold for any."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sae_reference import random_weights
from saeflow.errors import ConfigError
from saeflow.finetune import normal
from saeflow.finetune.closed_form import METHODS, Decoder, choose_ridge, solve
from saeflow.finetune.normal import NormalEquations
from saeflow.finetune.solvers import exact
from saeflow.sae.model import SAE, architecture_settings

TAUS = (0.0, 0.1, 10.0)


def case(n=200, d_in=5, d_sae=12, seed=0):
    """An SAE with a latent that is never active, and data on which to fit its decoder."""
    weights = random_weights(d_in, d_sae, seed=seed, dtype=torch.float64)
    weights["b_enc"][0] = -1e3
    sae = SAE("relu", architecture_settings("relu", {"l1": 0.1}), weights)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d_in, generator=generator, dtype=torch.float64) + 1
    sums = NormalEquations(d_sae, d_in)
    for part in x.split(64):
        sums.add(sae.encode_sparse(part), part)
    parent = Decoder(sae.W_dec.numpy(), sae.b_dec.numpy())
    return sae, x.numpy(), sae.encode(x).numpy(), sums, parent


def error(f, x, decoder):
    return float(np.square(f @ decoder.W_dec + decoder.b_dec - x).sum())


@given(seed=st.integers(0, 500), n=st.integers(1, 80))
@settings(max_examples=25, deadline=None)
def test_the_sums_give_the_error_of_any_decoder(seed, n):
    _, x, f, sums, parent = case(n=n, seed=seed)
    random = np.random.default_rng(seed)
    other = Decoder(random.normal(size=parent.W_dec.shape), random.normal(size=parent.b_dec.shape))
    for decoder in (parent, other):
        expected = error(f, x, decoder)
        assert sums.squared_error(*decoder) == pytest.approx(expected, rel=1e-9)


def test_the_sums_do_not_depend_on_the_batches():
    sae, x, f, sums, _ = case()
    np.testing.assert_allclose(sums.G, f.T @ f)
    np.testing.assert_allclose(sums.C, f.T @ x)
    np.testing.assert_array_equal(sums.active, (f > 0).sum(0))
    whole = NormalEquations(12, 5)
    whole.add(sae.encode_sparse(torch.from_numpy(x)), torch.from_numpy(x))
    for name, value in sums.arrays().items():
        np.testing.assert_allclose(whole.arrays()[name], value, rtol=1e-12)
        np.testing.assert_array_equal(NormalEquations.of(sums.arrays()).arrays()[name], value)


def stacked(f, parent, method):
    """The least squares problem of a method, written out over (token, dimension)."""
    n, d_in = len(f), len(parent.b_dec)
    if method == "decoder":
        return np.kron(np.hstack([f, np.ones((n, 1))]), np.eye(d_in))
    factors = (f[:, :, None] * parent.W_dec[None]).transpose(0, 2, 1).reshape(n * d_in, -1)
    if method == "scale":
        return factors
    return np.hstack([factors, np.kron(np.ones((n, 1)), np.eye(d_in))])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tau", TAUS)
def test_the_solution_is_that_of_the_written_out_regression(method, tau):
    """Ridge as extra equations: sqrt(ridge) (change of w_i) = 0."""
    _, x, f, sums, parent = case()
    d_sae, d_in = parent.W_dec.shape
    ridge = tau * float(np.square(f).sum() / (f > 0).sum())
    design = stacked(f, parent, method)
    fixed = parent.b_dec if method == "scale" else 0
    start = parent.W_dec.ravel() if method == "decoder" else np.ones(d_sae)
    weight = np.ones(d_sae) if method == "decoder" else np.linalg.norm(parent.W_dec, axis=1)
    extra = np.sqrt(ridge) * np.diag(np.repeat(weight, len(start) // d_sae))
    extra = np.hstack([extra, np.zeros((len(start), design.shape[1] - len(start)))])
    right = (x - fixed).ravel() - design[:, : len(start)] @ start
    change, *_ = np.linalg.lstsq(
        np.vstack([design, extra]), np.concatenate([right, np.zeros(len(extra))]), rcond=1e-10
    )
    own = start + change[: len(start)]
    W = own.reshape(d_sae, d_in) if method == "decoder" else own[:, None] * parent.W_dec
    found = solve(method, sums, parent, tau)
    np.testing.assert_allclose(found.W_dec, W, rtol=1e-6, atol=1e-8)
    if method == "scale":
        np.testing.assert_array_equal(found.b_dec, parent.b_dec)
    else:
        np.testing.assert_allclose(found.b_dec, change[len(start) :], rtol=1e-6, atol=1e-8)


@given(seed=st.integers(0, 500))
@settings(max_examples=20, deadline=None)
def test_more_freedom_never_has_more_error_on_the_fitted_tokens(seed):
    _, x, f, sums, parent = case(seed=seed)
    errors = [error(f, x, solve(name, sums, parent, 0.0)) for name in METHODS]
    slack = 1 + 1e-9
    assert errors[2] <= errors[1] * slack
    assert errors[1] <= errors[0] * slack
    assert errors[0] <= error(f, x, parent) * slack


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tau", TAUS)
def test_a_latent_that_is_never_active_keeps_its_row(method, tau):
    _, _, f, sums, parent = case()
    assert not f[:, 0].any()
    found = solve(method, sums, parent, tau)
    np.testing.assert_allclose(found.W_dec[0], parent.W_dec[0], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_strong_ridge_leads_to_the_parent_and_not_to_zero(method):
    *_, sums, parent = case()
    np.testing.assert_allclose(solve(method, sums, parent, 1e9).W_dec, parent.W_dec, rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_factors_do_not_depend_on_the_size_of_the_rows(method):
    """Rows twice as long with codes half as large are the same SAE, and have the same solution."""
    sae, x, _, sums, parent = case()
    twin = NormalEquations(12, 5)
    codes = sae.encode_sparse(torch.from_numpy(x))
    twin.add(codes.with_values(codes.values / 2), torch.from_numpy(x))
    doubled = Decoder(parent.W_dec * 2, parent.b_dec)
    one, two = solve(method, sums, parent, 1.0), solve(method, twin, doubled, 1.0)
    np.testing.assert_allclose(one.W_dec, two.W_dec / 2, rtol=1e-9)


STRENGTHS = (0.0, 0.1, 1.0, 10.0, 100.0)


def curve(method, train, validation, parent, strengths):
    """The validation error of every strength."""
    n_values = validation.n * len(parent.b_dec)
    return {
        tau: validation.squared_error(*solve(method, train, parent, tau)) / n_values
        for tau in strengths
    }


def test_few_tokens_want_a_ridge_and_many_want_none():
    """With as many tokens as latents the plain solution fits noise, which other documents show."""
    *_, validation, parent = case(n=4000, d_in=8, d_sae=40, seed=1)
    few, many = (
        curve("decoder", case(n=n, d_in=8, d_sae=40, seed=1)[3], validation, parent, STRENGTHS)
        for n in (60, 4000)
    )
    assert few[0.0] > 1.02 * min(few.values())
    assert many[0.0] == min(many.values())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [60, 4000])
def test_the_choice_is_the_strongest_ridge_that_keeps_all_but_a_hundredth_of_the_gain(method, n):
    *_, train, parent = case(n=n, d_in=8, d_sae=40, seed=1)
    *_, validation, _ = case(n=4000, d_in=8, d_sae=40, seed=2)
    expected = curve(method, train, validation, parent, STRENGTHS)
    before = validation.squared_error(*parent) / (4000 * 8)
    gains = {tau: before - error for tau, error in expected.items()}
    assert max(gains.values()) > 0
    found = choose_ridge(method, train, validation, parent, STRENGTHS)
    assert found.ridge == max(t for t, gain in gains.items() if gain >= 0.99 * max(gains.values()))
    assert found.errors == expected
    solution = solve(method, train, parent, found.ridge)
    for ours, theirs in zip(found.decoder, solution, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_of_ridges_that_are_as_good_the_one_nearest_to_the_parent_is_taken():
    """Where the tokens decide all, an end of the strengths is chosen only if it is better."""
    *_, sums, parent = case(n=4000, d_sae=6)
    chosen, _, errors = choose_ridge("scale", sums, sums, parent, exact.STRENGTHS)
    assert min(errors, key=errors.get) == exact.STRENGTHS[0]  # on the fitted tokens none is best
    assert exact.STRENGTHS[0] < chosen < exact.STRENGTHS[-1]


def test_where_nothing_is_to_be_gained_the_parent_stays():
    """From the best decoder there is, a few tokens lead away from it."""
    *_, validation, parent = case(n=4000, d_in=8, d_sae=40, seed=1)
    *_, train, _ = case(n=12, d_in=8, d_sae=40, seed=1)
    best = solve("decoder", validation, parent, 0.0)
    found = choose_ridge("decoder", train, validation, best, exact.STRENGTHS)
    assert min(found.errors.values()) > validation.squared_error(*best) / (4000 * 8)
    np.testing.assert_allclose(found.decoder.W_dec, best.W_dec, atol=1e-3)
    assert np.abs(solve("decoder", train, best, 0.1).W_dec - best.W_dec).max() > 0.02


def test_a_width_beyond_the_memory_is_refused_with_the_figures(monkeypatch):
    monkeypatch.setattr(normal.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**18}.get)
    with pytest.raises(ConfigError, match=r"1\.0 GiB.*18\.0 GiB") as caught:
        NormalEquations(24_576, 512)
    assert "24,576" in str(caught.value)


def test_a_method_without_a_closed_form_is_refused():
    *_, sums, parent = case()
    with pytest.raises(ConfigError, match="closed form"):
        solve("encoder", sums, parent, 0.0)
