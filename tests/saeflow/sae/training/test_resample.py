"""What resampled latents become, and when."""

from __future__ import annotations

import pytest
import torch

from sae_recipes import COMMON
from sae_reference import random_weights
from sae_stores import make_activations, place, train_saes
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.steps.step import Batch
from saeflow.sae.training import trainee
from saeflow.sae.training.resample import resample

DEAD = torch.arange(20) >= 15


def make(*, subtract=True, seed=0):
    weights = random_weights(6, 20, seed=seed, dtype=torch.float32)
    weights["W_dec"] /= weights["W_dec"].norm(dim=1, keepdim=True)
    settings = architecture_settings("relu", {"l1": 0.1, "subtract_b_dec": subtract})
    return SAE("relu", settings, weights)


def generator():
    return torch.Generator().manual_seed(1)


def copy_of(sae):
    return {name: w.clone() for name, w in sae.weights.items()}


@pytest.mark.parametrize("subtract", [False, True])
def test_a_dead_latent_points_to_an_input_that_is_badly_reconstructed(subtract):
    sae, x = (
        make(subtract=subtract),
        torch.randn(300, 6, generator=torch.Generator().manual_seed(1)),
    )
    before = copy_of(sae)
    latents = resample(sae, DEAD, Batch(x), (1, 2))
    assert torch.equal(latents, DEAD.nonzero().squeeze(1))
    toward = (x - sae.b_dec) / (x - sae.b_dec).norm(dim=1, keepdim=True)
    cosine = sae.W_dec[DEAD] @ toward.T
    torch.testing.assert_close(cosine.max(1).values, torch.ones(5))
    assert len(set(cosine.argmax(1).tolist())) == 5  # each its own
    size = 0.2 * before["W_enc"].T[~DEAD].norm(dim=1).mean()
    torch.testing.assert_close(sae.W_enc.T[DEAD], sae.W_dec[DEAD] * size)
    expected = torch.zeros(5) if subtract else -(sae.W_enc.T[DEAD] @ sae.b_dec)
    torch.testing.assert_close(sae.b_enc[DEAD], expected)
    for name, w in before.items():
        alive = (lambda w: w.T[~DEAD]) if name == "W_enc" else (lambda w: w[~DEAD])
        same = alive if name != "b_dec" else (lambda w: w)
        assert torch.equal(same(sae.weights[name]), same(w)), name


def test_decoder_rows_of_free_norm_get_the_mean_norm_of_the_living():
    weights = random_weights(6, 20, seed=0, dtype=torch.float32)
    weights["W_dec"] *= torch.where(DEAD, 100.0, 3.0)[:, None]
    size = float(weights["W_dec"][~DEAD].norm(dim=1).mean())
    settings = architecture_settings("relu", {"l1": 0.1, "norm_weighted": True})
    sae = SAE("relu", settings, weights)
    resample(sae, DEAD, Batch(torch.randn(300, 6, generator=generator())), (1, 2))
    torch.testing.assert_close(sae.W_dec[DEAD].norm(dim=1), torch.full((5,), size))


def test_both_paths_of_a_gated_latent_start_alike():
    weights = random_weights(6, 20, seed=0, dtype=torch.float32)
    weights |= {"b_gate": weights.pop("b_enc"), "b_mag": torch.ones(20), "r_mag": torch.ones(20)}
    sae = SAE("gated", architecture_settings("gated", {"l1": 0.1}), weights)
    resample(sae, DEAD, Batch(torch.randn(300, 6, generator=generator())), (1, 2))
    for name in ("b_gate", "b_mag", "r_mag"):
        assert not weights[name][DEAD].any() and bool(weights[name][~DEAD].all()), name


@pytest.mark.parametrize("architecture", ["jumprelu", "batchtopk"])
def test_a_trained_threshold_is_lowered_with_the_encoder_row(architecture):
    weights = random_weights(6, 20, seed=0, dtype=torch.float32)
    weights["threshold"] = torch.where(DEAD, 100.0, torch.linspace(-0.5, 1.0, 20))
    before = weights["threshold"].clone()
    own = {"jumprelu": {"l0_coef": 0.1}, "batchtopk": {"k": 2}}[architecture]
    sae = SAE(architecture, architecture_settings(architecture, own), weights)
    x = torch.randn(300, 6, generator=torch.Generator().manual_seed(1))
    resample(sae, DEAD, Batch(x), (1, 2))
    found = weights["threshold"]
    assert torch.equal(found[~DEAD], before[~DEAD])
    if architecture == "batchtopk":  # the same number for all, and no weight that is trained
        assert torch.equal(found, before)
    else:
        expected = 0.2 * before[~DEAD].clamp(min=0).mean()
        torch.testing.assert_close(found[DEAD], expected.expand(5))
        assert bool((sae.encode(x)[:, DEAD] > 0).any())


def test_inputs_are_chosen_in_proportion_to_the_square_of_their_loss():
    # Of two inputs that nothing reconstructs, one has an error three times as long: 81 to 1.
    weights = {"W_enc": torch.zeros(2, 400).T.contiguous().T, "b_enc": torch.zeros(400),
               "W_dec": torch.zeros(400, 2), "b_dec": torch.zeros(2)}  # fmt: skip
    settings = architecture_settings("relu", {"l1": 0.1})
    x = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    n, first = 40, 0
    for seed in range(n):
        sae = SAE("relu", settings, {name: w.clone() for name, w in weights.items()})
        resample(sae, torch.ones(400, dtype=torch.bool), Batch(x), (seed,))
        first += int((sae.W_dec[:, 0] > 0.5).sum())
    share, expected = first / (n * 400), 1 / 82
    spread = (expected * (1 - expected) / (n * 400)) ** 0.5
    assert abs(share - expected) < 4 * spread


def test_with_no_living_latent_the_share_is_of_one():
    sae, x = make(), torch.randn(300, 6)
    resample(sae, torch.ones(20, dtype=torch.bool), Batch(x), (0,))
    torch.testing.assert_close(sae.W_enc.norm(dim=0), torch.full((20,), 0.2))
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(20))


def test_inputs_without_an_error_change_nothing():
    sae = make()
    before = copy_of(sae)
    x = torch.randn(4, 6)
    latents = resample(sae, DEAD, Batch(x, sae(x)), (0,))
    assert not len(latents)
    assert all(torch.equal(sae.weights[name], w) for name, w in before.items())


def test_a_transcoder_reads_the_input_and_writes_the_target():
    sae, g = make(subtract=False), torch.Generator().manual_seed(4)
    x, y = torch.randn(300, 6, generator=g), torch.randn(300, 6, generator=g)
    resample(sae, DEAD, Batch(x, y), (0,))
    out = (y - sae.b_dec) / (y - sae.b_dec).norm(dim=1, keepdim=True)
    into = (x - x.mean(0)) / (x - x.mean(0)).norm(dim=1, keepdim=True)
    chosen = (sae.W_dec[DEAD] @ out.T).argmax(1)
    torch.testing.assert_close(sae.W_dec[DEAD], out[chosen])
    encoder = sae.W_enc.T[DEAD]
    torch.testing.assert_close(encoder / encoder.norm(dim=1, keepdim=True), into[chosen])
    torch.testing.assert_close(sae.b_enc[DEAD], -(encoder @ x.mean(0)))


@pytest.mark.parametrize("batch_size", [32, 128])
@pytest.mark.parametrize(("until", "expected"), [(None, [512, 1024]), (1536, [512, 1024, 1536])])
def test_it_is_due_after_so_many_tokens_whatever_the_batches(
    until, expected, batch_size, tmp_path, monkeypatch
):
    when, revive = [], trainee.Trainee._revive

    def watched(self, *arguments):
        moments = {n: m.clone() for n, m in self._descent.adam.moments.items()}
        before = self._descent.silent.clone()
        revive(self, *arguments)
        changed = self._descent.silent < before
        if changed.any():
            when.append(self.n_done * self.run.batch_size)
            for name, moment in self._descent.adam.moments.items():
                if not name.endswith("b_dec"):
                    assert not moment[changed].any(), name
                    assert torch.equal(moment[~changed], moments[name][~changed])

    monkeypatch.setattr(trainee.Trainee, "_revive", watched)
    recipe = {"architecture": "topk", "k": 1, **COMMON, "expansion": 10, "aux_coef": 0.0,
              "resample_tokens": 512, "resample_until_tokens": until, "dead_tokens": 32,
              "batch_size": batch_size}  # fmt: skip
    train_saes([(place(tmp_path, "a"), recipe)], make_activations(tmp_path / "store"))
    assert when == expected
