"""Random errors have the size of the SAE's, and what they cost is what a plain hook finds."""

import numpy as np
import pytest
import torch

from measured import formed, kept_losses
from saeflow.errors import ModelError
from saeflow.measures.controls import controlled, directions, of_equal_cosine, of_equal_norm
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.sae.sparse.codes import Codes
from saeflow.tokens.sequences import Sequences
from tiny_models import make_model

D = 16
HOOK = "resid_post.1"


class Shifted:
    """Reconstructs x as factor * x + shift along the first axis; its code says nothing."""

    d_sae = 1

    def __init__(self, factor, shift=0.0):
        self.factor, self.shift = factor, shift

    def encode_sparse(self, x):
        self.x = x
        offsets = torch.arange(len(x) + 1, dtype=torch.int32)
        return Codes(torch.ones(len(x)), torch.zeros(len(x), dtype=torch.int32), offsets, 1)

    def decode(self, codes):
        return self.factor * self.x + self.shift * torch.eye(D)[0]


@pytest.fixture(scope="module")
def model():
    return make_model("gpt_neox")


@pytest.fixture(scope="module")
def tokens():
    rng = np.random.default_rng(0)
    lengths = [12, 7, 12, 9]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    special = np.zeros(offsets[-1], dtype=bool)
    special[offsets[:-1]] = True
    documents = np.repeat(np.arange(4), lengths)
    return Sequences(rng.integers(3, 50, offsets[-1]), documents, special, offsets)


def measure(model, tokens, *coders, **options):
    patched = PatchedModel(model, Hook.parse(HOOK))
    clean = kept_losses(patched, tokens, torch.full((D,), 0.3))
    return controlled(patched, coders, tokens, clean, **options)


def noise(tokens, seed):
    """Return the random vectors of each sequence, (length, D), from its own number alone."""
    return [
        torch.from_numpy(
            np.random.Generator(np.random.Philox(key=[seed, i])).standard_normal(
                (end - start, D), dtype=np.float32
            )
        )
        for i, (start, end) in enumerate(zip(tokens.offsets, tokens.offsets[1:], strict=False))
    ]


def by_hand(model, tokens, change):
    """Return losses and divergences of scored tokens, one sequence at a time, by a plain hook.

    ``change`` is called with the number of a sequence and its activations of ordinary tokens.
    """
    losses, clean_losses, kls = [], [], []
    for number, (start, end) in enumerate(zip(tokens.offsets, tokens.offsets[1:], strict=False)):
        ids = torch.from_numpy(tokens.token_ids[start:end])[None]

        def patch(_module, _args, output, number=number):
            x = (output[0] if isinstance(output, tuple) else output).clone()
            x[0, 1:] = change(number, x[0, 1:])  # a BOS before them
            return (x, *output[1:]) if isinstance(output, tuple) else x

        clean = model(ids).logits[0].log_softmax(-1)
        handle = model.gpt_neox.layers[1].register_forward_hook(patch)
        patched = model(ids).logits[0].log_softmax(-1)
        handle.remove()
        p = clean[:-1].exp()
        losses.append(-patched[:-1].gather(1, ids[0, 1:, None]).sum().item())
        clean_losses.append(-clean[:-1].gather(1, ids[0, 1:, None]).sum().item())
        kls.append((p * (clean - patched)[:-1]).sum().item())
    return np.array(losses), np.array(clean_losses), np.array(kls)


def test_each_variant_costs_what_a_plain_hook_finds(model, tokens):
    (sums,) = measure(model, tokens, Shifted(0.8, 0.5), seed=3)
    drawn = noise(tokens, 3)

    def x_hat(x):
        return 0.8 * x + 0.5 * torch.eye(D)[0]

    def norm(number, x):
        v = drawn[number][1:]
        return x + (x_hat(x) - x).norm(dim=1, keepdim=True) * v / v.norm(dim=1, keepdim=True)

    def cosine(number, x):
        rows = []
        for one, v in zip(x, drawn[number][1:], strict=True):
            wanted, unit = x_hat(one), one / one.norm()
            cos = torch.nn.functional.cosine_similarity(one, wanted, dim=0)
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
        losses, clean, kls = by_hand(model, tokens, change)
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
    cosine = torch.nn.functional.cosine_similarity
    torch.testing.assert_close(found.norm(dim=1), x_hat.norm(dim=1))
    torch.testing.assert_close(cosine(found, x), cosine(x_hat, x))
    torch.testing.assert_close((found - x).norm(dim=1), error)
    assert (cosine(found, x_hat) < 0.999).all()


def test_a_reconstruction_along_x_leaves_nothing_to_draw():
    x = torch.randn(20, D, dtype=torch.float64)
    v = torch.nn.functional.normalize(torch.randn(20, D, dtype=torch.float64), dim=1)
    torch.testing.assert_close(of_equal_cosine(x, 0.5 * x, v), 0.5 * x)
    zero = torch.zeros(20, D, dtype=torch.float64)
    torch.testing.assert_close(of_equal_cosine(zero, v, v).norm(dim=1), torch.ones(20).double())


def test_directions_are_spread_evenly_over_the_sphere():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 9, 2000)
    whole = Sequences(ids, ids * 0, ids < 0, np.array([0, 2000]))
    (batch,) = whole.batches(2000)
    v = directions(batch, D, 0)
    torch.testing.assert_close(v.norm(dim=1), torch.ones(2000))
    assert v.mean(0).abs().max() < 5 / (2000 * D) ** 0.5
    second = v.T @ v / 2000
    assert (second - torch.eye(D) / D).abs().max() < 5 / D / 2000**0.5


@pytest.mark.parametrize("batch_tokens", [1, 20, 1000])
def test_a_tokens_direction_does_not_depend_on_the_batch(tokens, batch_tokens):
    drawn = noise(tokens, 5)
    for batch in tokens.batches(batch_tokens):
        expected = torch.cat([drawn[number][1:] for number in batch.numbers])
        expected = expected / expected.norm(dim=1, keepdim=True)
        assert torch.equal(directions(batch, D, 5), expected)


@pytest.mark.parametrize("batch_tokens", [1, 20])
def test_no_metric_depends_on_the_batches(model, tokens, batch_tokens):
    def value(**options):
        (sums,) = measure(model, tokens, Shifted(0.7, 0.2), **options)
        return formed("controls", {name: column.sum() for name, column in sums.items()})

    whole = value()
    for name, found in value(batch_tokens=batch_tokens).items():
        assert found == pytest.approx(whole[name], rel=1e-3), name


def test_another_seed_draws_other_errors_and_leaves_the_rest(model, tokens):
    (one,), (other,) = (measure(model, tokens, Shifted(0.7, 0.2), seed=seed) for seed in (0, 1))
    for name in ("ce_sae", "ce_zero", "ce_clean"):
        np.testing.assert_array_equal(one[name], other[name])
    assert (one["ce_norm"] != other["ce_norm"]).all()


def test_an_sae_without_error_has_random_errors_without_size(model, tokens):
    (sums,) = measure(model, tokens, Shifted(1.0))
    for name in ("sae", "norm"):
        np.testing.assert_array_equal(sums[f"ce_{name}"], sums["ce_clean"])
    np.testing.assert_allclose(sums["ce_cosine"], sums["ce_clean"], rtol=1e-5)


def test_saes_measured_together_give_the_bits_of_each_alone(model, tokens):
    together = measure(model, tokens, Shifted(0.5), Shifted(0.9, 0.1))
    for coder, sums in zip((Shifted(0.5), Shifted(0.9, 0.1)), together, strict=True):
        (alone,) = measure(model, tokens, coder)
        for name, column in alone.items():
            np.testing.assert_array_equal(sums[name], column)


class Failing(Shifted):
    """Cannot be decoded."""

    def decode(self, codes):
        raise ModelError("it cannot be decoded")


@pytest.mark.parametrize("bad", [Failing(0), Shifted(float("nan"))])
def test_an_sae_that_fails_fails_alone(model, tokens, bad):
    found = measure(model, tokens, bad, Shifted(0.5))
    assert isinstance(found[0], ModelError)
    (alone,) = measure(model, tokens, Shifted(0.5))
    np.testing.assert_array_equal(found[1]["ce_norm"], alone["ce_norm"])
