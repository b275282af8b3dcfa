"""Random errors have the size of the SAE's, and what they cost is what a plain hook finds."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import asked_by_hand
from measured import formed, kept_losses
from saeflow.errors import ModelError
from saeflow.measures.controls import controlled, directions, of_equal_cosine, of_equal_norm
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from tiny_models import make_model
from tiny_saes import Failing, Rescale, make_sequences

D = 16
HOOK = "resid_post.1"
TOKENS = make_sequences([12, 7, 12, 9])


@pytest.fixture(scope="module")
def model():
    return make_model("gpt_neox")


def measure(model, *coders, **options):
    patched = PatchedModel(model, Hook.parse(HOOK))
    clean = kept_losses(patched, TOKENS, torch.full((D,), 0.3))
    return controlled(patched, coders, TOKENS, clean, **options)


def noise(seed):
    """Return the random vectors of each sequence, (length, D), from its own number alone."""
    drawn = (np.random.Generator(np.random.Philox(key=[seed, number])) for number in range(4))
    lengths = np.diff(TOKENS.offsets)
    return [
        torch.from_numpy(own.standard_normal((n, D), dtype=np.float32))
        for own, n in zip(drawn, lengths, strict=True)
    ]


def test_each_variant_costs_what_a_plain_hook_finds(model):
    (sums,) = measure(model, Rescale(0.8, 0.5), seed=3)
    drawn = noise(3)

    def x_hat(x):
        return 0.8 * x + 0.5 * torch.eye(D)[0]

    def norm(number, x):
        return x + (x_hat(x) - x).norm(dim=1, keepdim=True) * F.normalize(drawn[number], dim=1)

    def cosine(number, x):
        rows = []
        for one, v in zip(x, drawn[number], strict=True):
            wanted, unit = x_hat(one), one / one.norm()
            cos = F.cosine_similarity(one, wanted, dim=0)
            across = v - (v @ unit) * unit
            sine = (1 - cos**2).clamp(min=0).sqrt()
            rows.append(wanted.norm() * (cos * unit + sine * across / across.norm()))
        return torch.stack(rows)

    for name, change in {
        "sae": lambda _, x: x_hat(x),
        "norm": norm,
        "cosine": cosine,
        "zero": lambda _, x: 0 * x,
        "mean": lambda _, x: torch.full_like(x, 0.3),
    }.items():
        *values, documents = asked_by_hand.losses(model, TOKENS, HOOK, change)
        losses, clean, kls = (np.bincount(documents, column) for column in values)
        np.testing.assert_allclose(sums[f"ce_{name}"], losses, rtol=2e-4, err_msg=name)
        np.testing.assert_allclose(sums["ce_clean"], clean, rtol=1e-5)
        if f"kl_{name}" in sums:
            np.testing.assert_allclose(sums[f"kl_{name}"], kls, rtol=5e-3, err_msg=name)
    assert sums["predictions"].tolist() == [11, 6, 11, 8]


def test_random_errors_have_the_norm_and_the_cosine_of_the_saes():
    g = torch.Generator().manual_seed(0)
    x, x_hat, v = (torch.randn(50, D, generator=g, dtype=torch.float64) for _ in range(3))
    v /= v.norm(dim=1, keepdim=True)
    error = (x_hat - x).norm(dim=1)
    torch.testing.assert_close((of_equal_norm(x, x_hat, v) - x).norm(dim=1), error)
    found = of_equal_cosine(x, x_hat, v)
    torch.testing.assert_close(found.norm(dim=1), x_hat.norm(dim=1))
    torch.testing.assert_close(F.cosine_similarity(found, x), F.cosine_similarity(x_hat, x))
    torch.testing.assert_close((found - x).norm(dim=1), error)
    assert (F.cosine_similarity(found, x_hat) < 0.999).all()


def test_a_reconstruction_along_x_leaves_nothing_to_draw():
    x = torch.randn(20, D, dtype=torch.float64)
    v = F.normalize(torch.randn(20, D, dtype=torch.float64), dim=1)
    torch.testing.assert_close(of_equal_cosine(x, 0.5 * x, v), 0.5 * x)
    zero = torch.zeros(20, D, dtype=torch.float64)
    torch.testing.assert_close(of_equal_cosine(zero, v, v).norm(dim=1), torch.ones(20).double())


def test_directions_are_spread_evenly_over_the_sphere():
    whole = make_sequences([2001])
    (batch,) = whole.batches(2001)
    v = directions(batch, D, 0)
    torch.testing.assert_close(v.norm(dim=1), torch.ones(2000))
    assert v.mean(0).abs().max() < 5 / (2000 * D) ** 0.5
    second = v.T @ v / 2000
    assert (second - torch.eye(D) / D).abs().max() < 5 / D / 2000**0.5


@pytest.mark.parametrize("batch_tokens", [1, 20, 1000])
def test_a_tokens_direction_does_not_depend_on_the_batch(batch_tokens):
    drawn = noise(5)
    for batch in TOKENS.batches(batch_tokens):
        expected = torch.cat([drawn[number][1:] for number in batch.numbers])
        expected = expected / expected.norm(dim=1, keepdim=True)
        assert torch.equal(directions(batch, D, 5), expected)


@pytest.mark.parametrize("batch_tokens", [1, 20])
def test_no_metric_depends_on_the_batches(model, batch_tokens):
    def value(**options):
        (sums,) = measure(model, Rescale(0.7, 0.2), **options)
        return formed("controls", {name: column.sum() for name, column in sums.items()})

    assert value(batch_tokens=batch_tokens) == pytest.approx(value(), rel=1e-3)


def test_another_seed_draws_other_errors_and_leaves_the_rest(model):
    (one,), (other,) = (measure(model, Rescale(0.7, 0.2), seed=seed) for seed in (0, 1))
    for name in ("ce_sae", "ce_zero", "ce_clean"):
        np.testing.assert_array_equal(one[name], other[name])
    assert (one["ce_norm"] != other["ce_norm"]).all()


def test_an_sae_without_error_has_random_errors_without_size(model):
    (sums,) = measure(model, Rescale())
    for name in ("sae", "norm"):
        np.testing.assert_array_equal(sums[f"ce_{name}"], sums["ce_clean"])
    np.testing.assert_allclose(sums["ce_cosine"], sums["ce_clean"], rtol=1e-5)


@pytest.mark.parametrize("first", [Rescale(0.9, 0.1), Failing(), Rescale(float("nan"))])
def test_an_sae_has_the_bits_that_it_has_alone_and_one_that_fails_fails_alone(model, first):
    found, fails = measure(model, first, Rescale(0.5)), first.factor != 0.9
    assert [isinstance(own, ModelError) for own in found] == [fails, False]
    for coder, sums in [(first, found[0]), (Rescale(0.5), found[1])][fails:]:
        (alone,) = measure(model, coder)
        for name, column in alone.items():
            np.testing.assert_array_equal(sums[name], column)
