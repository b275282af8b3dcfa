"""Every formula by hand: two tokens, or two documents, small enough for a sheet of paper."""

import math

import numpy as np
import pytest

from saeflow import registry

# x = (3, 4), (0, 2); x_hat = (3, 4), (0, 1); mu = (1.5, 3); f = (1, 0, 2), (0, 0, -1).
SUMS = {
    "tokens": 2.0,
    "d_in": 2.0,
    "active": 3.0,
    "squared_error": 1.0,
    "squared_deviation": 2.25 + 1 + 2.25 + 1,
    "norm_ratio": 1.5,
    "cosine": 2.0,
    "squared_norm_hat": 25.0 + 1,
    "inner": 25.0 + 2,
    "directed": 2.0,
    "fired": np.array([1, 0, 2]),
    "predictions": 4.0,
    "ce_clean": 4.0,
    "ce_sae": 6.0,
    "ce_zero": 16.0,
    "ce_mean": 12.0,
    "kl": 1.0,
    "correct": 2.0,
    "correct_sae": 1.0,
    "correct_codes": 1.0,
    "correct_chance": 0.0,
    "loss": 0.5,
    "loss_sae": 3.0,
    "loss_codes": 1.0,
    "loss_chance": 2.5,
}
BY_HAND = {
    "l0": 1.5,
    "mse": 0.25,
    "fvu": 1 / 6.5,
    "l2_ratio": 0.75,
    "cosine": 1.0,
    "reconstruction_bias": 26 / 27,
    "density": [0.5, 0.0, 1.0],
    "dead": 1 / 3,
    "ce_loss": 1.0,
    "ce_loss_sae": 1.5,
    "ce_loss_zero": 4.0,
    "ce_loss_mean": 3.0,
    "delta_ce": 0.5,
    "ce_recovered_zero": 10 / 12,
    "ce_recovered_mean": 6 / 8,
    "kl": 0.25,
    "perplexity": math.e,
    "perplexity_sae": math.exp(1.5),
    "probe_accuracy": 1.0,
    "probe_accuracy_sae": 0.5,
    "probe_accuracy_codes": 0.5,
    "probe_accuracy_chance": 0.0,
    "probe_loss": 0.25,
    "probe_loss_sae": 1.5,
    "probe_loss_codes": 0.5,
    "probe_loss_chance": 1.25,
}


def compute(name, sums):
    return registry.load("metrics.formulas", name).compute(
        {key: np.asarray(value, dtype=np.float64) for key, value in sums.items()}
    )


def test_every_formula_has_a_case_by_hand():
    assert sorted(BY_HAND) == registry.names("metrics.formulas")


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_formula_gives_the_value_computed_by_hand(name):
    np.testing.assert_allclose(compute(name, SUMS), BY_HAND[name], rtol=1e-14)


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_formula_works_on_a_whole_bootstrap_at_once(name):
    factors = np.array([1.0, 2.0, 3.0])
    stacked = {
        key: value if key == "d_in" else np.multiply.outer(factors, value)
        for key, value in SUMS.items()
    }
    values = compute(name, stacked)
    # Every sum grew alike, so every ratio stays.
    np.testing.assert_allclose(values, np.broadcast_to(BY_HAND[name], values.shape), rtol=1e-14)
    assert len(values) == 3


def test_loss_recovered_is_the_ratio_of_mean_losses_not_the_mean_of_ratios():
    # Two documents of one token. Clean 1 and 1, zero ablation 3 and 1.2, SAE 2 and 1.2:
    # the first recovers 1 of 2, the second 0 of 0.2.
    sums = {"ce_clean": 1 + 1, "ce_sae": 2 + 1.2, "ce_zero": 3 + 1.2}
    mean_of_ratios = (1 / 2 + 0 / 0.2) / 2
    assert compute("ce_recovered_zero", sums) == pytest.approx(1 / 2.2)
    assert compute("ce_recovered_zero", sums) != pytest.approx(mean_of_ratios)


def test_covered_and_dead_latents_add_up_to_the_width():
    density, dead = compute("density", SUMS), compute("dead", SUMS)
    assert (density > 0).sum() + dead * len(density) == len(density)
