"""Estimates are derivatives, and exact effects what a plain forward pass with a hook finds."""

import json

import numpy as np
import pytest
import torch

from measured import measure, table
from saeflow.errors import ModelError
from saeflow.files import hash_tree
from saeflow.hooks import Hook
from saeflow.measures.effects.measure import Effects, effects
from saeflow.models.hooks import replace
from saeflow.models.patched import PatchedModel
from tiny_models import FAMILIES, make_model
from tiny_saes import make_sae, make_sequences, publish_sae
from tiny_stores import harvest_hooks, make_tokens, save_model

D, WIDTH = 16, 24


TOKENS = make_sequences([12, 7, 12, 9], separators=[4])  # whose activations stay


def an_sae(seed=0, **metadata):
    sae = make_sae(WIDTH, D, seed, bias=0.02, b_dec=0.1, **metadata)
    sae.b_enc[:2] = -1e3  # never active
    return sae


def loss_without(model, hook, reads, sae, latent, factor, most=4):
    """Return the summed loss, a sequence at a time, with ``factor`` of a latent taken out.

    Only of the first ``most`` sequences on which it is active, the longest ones first.
    """
    total, lengths = 0.0, np.diff(TOKENS.offsets)
    for number in np.argsort(-lengths, kind="stable"):
        start, end = TOKENS.offsets[number : number + 2]
        ids = torch.from_numpy(TOKENS.token_ids[start:end])[None]
        ordinary = torch.from_numpy(~TOKENS.special[start:end])
        kept = {}

        def keep(x, kept=kept):
            kept["x"] = x
            return x

        with replace(model, reads, keep):
            model(ids)
        rows = kept["x"][0].float()
        f = sae.encode_sparse(rows)
        shares = f.dense()[:, latent]
        if f.frame is not None:
            shares = shares * f.frame.scale[:, 0]
        if not most or not (shares * ordinary).any():
            continue
        most -= 1
        change = factor * (shares * ordinary)[:, None] * sae.W_dec[latent]
        change = change.to(next(model.parameters()).dtype)
        with replace(model, hook, lambda x, change=change: x - change):
            logits = model(ids).logits[0]
        losses = -logits[:-1].double().log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        total += float(losses[ordinary[1:]].sum())
    return total


@pytest.mark.parametrize("family", list(FAMILIES))
def test_an_estimate_is_the_derivative_of_the_loss(family):
    check_derivative(make_model(family), "resid_post.1", "resid_post.1")


@pytest.mark.parametrize("hook", ["resid_pre.0", "mlp_out.1", "attn_out.0", "resid_post.2"])
def test_it_is_at_every_hook(hook):
    check_derivative(make_model("gpt_neox"), hook, hook)


def test_a_transcoders_latents_are_taken_out_of_what_it_predicts():
    check_derivative(make_model("gpt_neox"), "mlp_out.1", "resid_pre.1")


@pytest.mark.parametrize("norm", ["layer_norm", "constant_norm"])
def test_an_sae_that_prepares_its_inputs_contributes_in_their_units(norm):
    sae = an_sae(input_norm=norm)
    check_derivative(make_model("gpt_neox"), "resid_post.1", "resid_post.1", sae)


def check_derivative(model, hook, reads, sae=None):
    hook, reads, sae = Hook.parse(hook), Hook.parse(reads), sae or an_sae()
    (found,) = effects(PatchedModel(model, hook, reads), [sae], TOKENS)
    assert found.effect[:2].tolist() == [0, 0] and np.isnan(found.exact).all()
    wide, h = model.double(), 3e-3
    for latent in np.argsort(-found.absolute)[:3]:
        ends = [loss_without(wide, hook, reads, sae, latent, f) for f in (h, -h)]
        slope = (ends[0] - ends[1]) / (2 * h)
        assert found.effect[latent] == pytest.approx(slope, rel=2e-3, abs=5e-4)
        assert abs(slope) > 1e-3


@pytest.mark.parametrize(
    ("hook", "most"), [("resid_post.1", 4), ("mlp_out.1", 4), ("mlp_out.1", 2)]
)
def test_the_exact_effect_is_what_a_plain_forward_pass_finds(hook, most):
    model, hook, saes = make_model("llama"), Hook.parse(hook), [an_sae(0), an_sae(1)]
    found = effects(PatchedModel(model, hook), saes, TOKENS, n_exact=5, n_sequences=most, seed=1)
    for sae, own in zip(saes, found, strict=True):
        computed = np.flatnonzero(np.isfinite(own.exact))
        assert len(computed) == 5 and (own.absolute[computed] > 0).all()
        for latent in computed:
            of = (model, hook, hook, sae, latent)
            ends = [loss_without(*of, factor, most) for factor in (1, 0)]
            assert own.exact[latent] == pytest.approx(ends[0] - ends[1], rel=1e-3, abs=1e-4)
        if most == 4:
            np.testing.assert_allclose(own.estimate[computed], own.effect[computed], rtol=1e-3)
        assert (own.absolute >= np.abs(own.effect) - 1e-12).all()
        assert np.isnan(own.estimate).tolist() == np.isnan(own.exact).tolist()


def test_estimates_of_some_sequences_are_derivatives_there():
    model, hook, sae = make_model("gpt_neox"), Hook.parse("resid_post.1"), an_sae()
    (found,) = effects(PatchedModel(model, hook), [sae], TOKENS, n_exact=3, n_sequences=1)
    wide, h = model.double(), 3e-3
    for latent in np.flatnonzero(np.isfinite(found.exact)):
        of = (wide, hook, hook, sae, latent)
        ends = [loss_without(*of, factor, 1) for factor in (h, -h)]
        slope = (ends[0] - ends[1]) / (2 * h)
        assert found.estimate[latent] == pytest.approx(slope, rel=2e-3, abs=5e-4)


def test_how_good_estimates_are_is_told_by_values_and_by_ranks():
    nan = np.full(2, np.nan)
    estimate, exact = (np.array([*own, *nan]) for own in ([1.0, 2.0, 3.0], [2.0, 3.0, 100.0]))
    found = Effects(estimate, estimate, estimate, exact).correlations()
    # deviations -1, 0, 1 and -33, -32, 65: 98 / sqrt(2 (33^2 + 32^2 + 65^2))
    assert found["correlation"] == pytest.approx(98 / (2 * 6338) ** 0.5)
    assert found["rank_correlation"] == pytest.approx(1.0)
    few = np.array([1.0, 2.0, *nan])
    assert set(Effects(few, few, few, few).correlations().values()) == {None}


def test_all_active_latents_are_computed_where_they_are_fewer():
    model, sae = make_model("llama"), an_sae()
    patched = PatchedModel(model, Hook.parse("resid_post.1"))
    few, more = (effects(patched, [sae], TOKENS, n_exact=n)[0] for n in (4, 100))
    assert np.isfinite(more.exact).tolist() == (more.absolute > 0).tolist()
    known = np.isfinite(few.exact)
    np.testing.assert_array_equal(few.exact[known], more.exact[known])
    other = effects(patched, [sae], TOKENS, n_exact=4, seed=7)[0]
    assert (np.isfinite(other.exact) != known).any()


@pytest.mark.parametrize("batch_tokens", [1, 20])
def test_nothing_depends_on_the_batches(batch_tokens):
    patched = PatchedModel(make_model("gpt_neox"), Hook.parse("mlp_out.1"))
    whole, parts = (
        effects(patched, [an_sae()], TOKENS, n_exact=30, n_sequences=2, batch_tokens=n)[0]
        for n in (4096, batch_tokens)
    )
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def test_an_sae_that_fails_fails_alone():
    patched = PatchedModel(make_model("gpt_neox"), Hook.parse("resid_post.1"))
    bad = an_sae()
    bad.weights["W_dec"] = bad.W_dec * float("nan")
    found = effects(patched, [bad, an_sae(), bad], TOKENS, n_exact=4)
    assert isinstance(found[0], ModelError) and isinstance(found[2], ModelError)
    (alone,) = effects(patched, [an_sae()], TOKENS, n_exact=4)
    np.testing.assert_array_equal(found[1].exact, alone.exact)
    np.testing.assert_array_equal(found[1].effect, alone.effect)


LENGTHS = {"train": [32], "validation": [7], "test": [32, 20, 9, 32, 15]}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    model = save_model(make_model("gpt_neox"), root / "model" / "model.json")
    tokens = make_tokens(root / "tokens", LENGTHS)
    hooks = harvest_hooks(root / "hooks", ["resid_post.1"], model, tokens)
    return {"model": model, "tokens": tokens, "activations": hooks["resid_post.1"]}


def publish(root, seeds):
    saes = {f"sae-{seed}": an_sae(seed, hook="resid_post.1") for seed in seeds}
    return {name: publish_sae(root / name, sae) for name, sae in saes.items()}


def test_the_job_writes_a_row_per_latent_of_the_first_sequences(made, tmp_path):
    settings = {"tokens": 50, "exact": 6, "exact_sequences": 2, "seed": 0}
    tasks = measure("effects", tmp_path / "on", publish(tmp_path, (0, 1)), settings, **made)
    for task in tasks.values():
        latents, record = table(task, "latents"), json.loads(task.output.read_text())
        assert list(latents) == ["latent", "effect", "absolute", "estimate", "exact"]
        assert latents["latent"].tolist() == list(range(WIDTH))
        assert latents["exact"].notna().sum() == record["n_exact"] == 6
        counts = {"n_tokens": 50, "n_documents": 2, "n_predictions": 50}
        assert counts.items() <= record.items()
        known = latents.dropna()
        expected = np.corrcoef(known["estimate"], known["exact"])[0, 1]
        assert record["correlation"] == pytest.approx(expected)


def test_together_and_alone_give_the_same_bytes(made, tmp_path):
    settings = {"tokens": 50, "exact": 6, "exact_sequences": 2, "seed": 0}
    saes = publish(tmp_path, (0, 1))
    together = measure("effects", tmp_path / "together", saes, settings, **made)
    for name, record in saes.items():
        (alone,) = measure("effects", tmp_path / name, {name: record}, settings, **made).values()
        assert hash_tree(alone.work.final) == hash_tree(together[name].work.final)
