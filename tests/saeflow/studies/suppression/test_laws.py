"""What a loss is predicted to take: by hand for each, and by SAEs that are trained with it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from known_truth import Dictionary, train
from saeflow import registry
from saeflow.config.architectures import ReLU
from saeflow.sae.model import ARCHITECTURES
from saeflow.sae.saved.save import config
from saeflow.studies.suppression.laws import L1, L1_OF_NORMS, LAWS, WITHOUT, law_of, may_have_law

F, NORMS = np.array([0.5, 2.0, 8.0]), np.array([0.5, 1.0, 4.0])


def record(kind="relu", *, scale=1.0, tokens=1000, **settings):
    """Return what is on record of an SAE: settings of the rule, and how the training went."""
    if kind == "relu":
        settings = ReLU.read({"l1": 0.03, **settings}, where="test").plain()
    else:
        settings = {"l1": 0.5, "l1_warmup_tokens": 0, **settings}
    training = {"tokens": tokens, "scale": [7.0, scale], "final": {"l0": 9.0}}
    return {"architecture": kind, "architecture_settings": settings, "training": training}


def shift(found, width=64):
    return law_of(found, width).shift(F, NORMS)


def test_a_mean_over_64_dimensions_and_a_sum_with_64_times_the_penalty_are_one_loss():
    for one in (record(l1=0.03), record(error="sum", l1=1.92)):
        assert law_of(one, 64).name == L1
        np.testing.assert_allclose(shift(one), 0.96)


def test_the_posts_loss_takes_what_the_post_says():
    np.testing.assert_allclose(shift(record(l1=2e-3), width=512), 0.512)


def test_what_was_trained_on_scaled_activations_is_predicted_in_their_own_units():
    """A factor of 4 in training: the .96 that are taken there are .24 of the activations."""
    np.testing.assert_allclose(shift(record(scale=4.0)), 0.24)


def test_where_norms_are_free_the_latent_times_its_norm_is_what_shrinks():
    found = record(norm_weighted=True, error="sum", l1=2.0)
    assert law_of(found, 64).name == L1_OF_NORMS
    np.testing.assert_allclose(shift(found) * NORMS, 1.0)


def test_the_last_exponent_of_an_annealing_is_that_of_its_law():
    """c p f^(p - 1) / 2 with c = 2 and p = 1/2: f^(-1/2) / 2, of f in the units of training."""
    found = record("p_anneal")
    found["training"]["loss"] = {"coefficient": 2.0, "p": 0.5}
    assert law_of(found, 64).name == "Lp, p = 0.5"
    np.testing.assert_allclose(shift(found), F**-0.5 / 2)
    found["training"]["scale"] = [1.0, 4.0]  # (4 f)^(-1/2) / 2, a quarter of it
    np.testing.assert_allclose(shift(found), F**-0.5 / 16)


def test_a_penalty_that_had_not_risen_took_its_share():
    np.testing.assert_allclose(shift(record(l1_warmup_tokens=2000)), 0.48)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (record("gated"), "the penalty is on the gates"),
        (record("jumprelu", l0_coef=0.1), "the penalty is on the number of latents"),
        (record("topk", k=8), "there is no penalty"),
        (record(l1=0.0), "its coefficient is zero or not known"),
        (record(tokens=0), "it was not trained"),
        ({**record(), "method": "decoder"}, "it was fine-tuned already"),
        ({**record(), "input_norm": "layer_norm"}, "it reads rows that are normalised one by one"),
        ({"architecture": "relu", "architecture_settings": record()["architecture_settings"]},
         "it was not trained"),
        ({"architecture": "new"}, "that of the architecture new is not known"),
    ],
)  # fmt: skip
def test_where_nothing_is_predicted_it_is_said_why(found, why):
    assert law_of(found, 64).name == f"none: {why}"
    assert np.isnan(shift(found)).all()


def test_every_architecture_says_its_law_or_that_it_has_none():
    assert {*LAWS} | {*WITHOUT} == {*registry.names(ARCHITECTURES)} and not {*LAWS} & {*WITHOUT}


def test_a_configuration_tells_which_saes_may_have_one():
    assert may_have_law({"architecture": "relu", "l1": 0.1, "tokens": None})
    assert may_have_law({"architecture": "p_anneal", "l1": 0.1})
    assert may_have_law({"architecture": "relu", "target_l0": 20})  # its l1 is found
    for other in (
        {"architecture": "gated", "l1": 0.1}, {"architecture": "relu", "l1": 0.0},
        {"architecture": "relu", "l1": 0.1, "tokens": 0}, {"path": "x", "architecture": None},
        {"architecture": "relu", "l1": 0.1, "normalize_input": "constant_norm"},
    ):  # fmt: skip
        assert not may_have_law(other)


SMALL = {
    "expansion": 2, "tokens": 20_000, "batch_size": 64, "learning_rate": 2e-2, "center": "zero",
    "log_tokens": 20_000, "dead_tokens": 2_000, "seed": 3,  # a start that leaves a feature whole
}  # fmt: skip
STRENGTH, WIDTH = 3.0, 16
TRAINED = {
    "mean": {"l1": 0.05},
    "sum": {"l1": 0.8, "error": "sum"},
    "mean_square": {"l1": 0.05, "scale_input": "mean_square"},
    "mean_norm": {"l1": 0.02, "scale_input": "mean_norm"},
    "unit": {"l1": 0.01, "scale_input": "unit"},
    "norms": {"l1": 0.8, "error": "sum", "norm_weighted": True},
    "scaled norms": {"l1": 0.05, "norm_weighted": True, "scale_input": "mean_square"},
    "annealed": {"architecture": "p_anneal", "l1": 1.0, "p_end": 0.5, "anneal_end_tokens": 8_000},
}


@pytest.mark.parametrize("name", TRAINED)
def test_an_sae_that_is_trained_loses_what_its_own_law_says(name, tmp_path):
    """Features at right angles of one strength, in activations that are no unit of anything.

    The decoder's bias is trained too, which lets a feature on a share p of the tokens lose
    1 / (1 - p) times as much (see `theory.shrinkage`).
    """
    truth = Dictionary.orthogonal(WIDTH, seed=0, mean_l0=1, strengths=(STRENGTH, STRENGTH))
    x = truth.sample(20_000, torch.Generator().manual_seed(1))
    norms = x.norm(dim=1).double()
    moments = SimpleNamespace(n=len(x), norm=float(norms.sum()), square=float((norms**2).sum()))
    settings = {"architecture": "relu", **SMALL, **TRAINED[name]}
    sae = train(truth, settings, tmp_path, moments=moments)
    found = config(sae)["metadata"]["saeflow"]
    strength, row = sae.encode(STRENGTH * truth.rows).max(dim=1)
    norm = sae.W_dec[row].norm(dim=1).numpy()
    f = strength.double().numpy()
    taken = STRENGTH / norm - f  # by what it would have to grow, in units of the latent
    predicted = law_of(found, WIDTH).shift(f, norm) / (1 - 1 / WIDTH)
    assert np.median(taken / predicted) == pytest.approx(1, abs=0.05)
    assert 0.03 < np.median(predicted * norm) / STRENGTH < 0.6  # enough to be seen
