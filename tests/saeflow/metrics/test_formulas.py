"""Every formula by hand: two tokens, or two documents, small enough for a sheet of paper."""

import math

import numpy as np
import pytest

from saeflow.metrics import language, reconstruction
from saeflow.metrics.registry import METRICS

# x = (3, 4), (0, 2); x_hat = (3, 4), (0, 1); mu = (1.5, 3); f = (1, 0, 2), (0, 0, -1).
SUMS = {
    # facts
    "positive": 10.0, "best_fired": 8.0, "best_hits": 6.0, "active_fired": 30.0,
    "active_hits": 10.0, "union_fired": 10.0, "union_hits": 9.0, "probe_fired": 12.0,
    "probe_hits": 8.0, "absorbed": 2.0,
    # dense_probes
    "wins": 2.5, "pairs": 4.0, "examples": 4.0, "train_accuracy": 1.5, "fits": 2.0,
    "validation_auc": 0.9, "chosen": 1.5,
    # reconstruction
    "tokens": 2.0, "d_in": 2.0, "active": 3.0, "squared_error": 1.0,
    "squared_deviation": 2.25 + 1 + 2.25 + 1, "norm_ratio": 1.5, "cosine": 2.0,
    "squared_norm_hat": 25.0 + 1, "inner": 25.0 + 2, "directed": 2.0, "fired": np.array([1, 0, 2]),
    # language, erasure, propagation, controls and gate
    "predictions": 4.0, "ce_clean": 4.0, "ce": 5.0, "logit_difference": 3.0,
    "logit_difference_clean": 1.0, "worded": 4.0, "end_score": -1.0, "end_score_clean": 2.0,
    "texts": 4.0, "ce_sae": 6.0, "ce_zero": 16.0, "ce_mean": 12.0, "kl": 1.0, "ce_full": 6.0,
    "ce_direct": 5.0, "ce_attention_frozen": 7.0, "ce_mlp_frozen": 3.0, "ce_patterns_frozen": 4.0,
    "ce_chain": 10.0, "ce_norm": 5.0, "ce_cosine": 4.5, "gap_identity": 0.02, "gap_centring": 0.04,
    "l0_stated": 2.0, "kl_sae": 2.0, "kl_norm": 0.5, "kl_cosine": 0.25,
    # answers
    "prompts": 4.0, "right_clean": 3.0, "right_sae": 2.0, "right_first_clean": 4.0,
    "right_first_sae": 3.0, "choices": 2.0, "chance": 0.2, "right_choice_clean": 2.0,
    "right_choice_sae": 1.5, "log_p_clean": -4.0, "log_p_sae": -6.0, "log_p_first_clean": -2.0,
    "log_p_first_sae": -5.0, "ce_tokens": 8.0, "contrasts": 2.0, "logit_diff_clean": 3.0,
    "logit_diff_sae": 1.0, "preferred_clean": 2.0, "preferred_sae": 1.0,
    # answers and sparse_probes, at the ends of prompts
    "window": 6.0, "active_centred": 2.0, "squared_error_centred": 0.5, "directed_centred": 2.0,
    "cosine_centred": 1.8, "activation": 9.0, "norm": 12.0, "mse": 0.5, "mse_tokens": 2.0,
    # answers as they were published
    "published": 2.0, "published_active": 10.0, "published_activation": 7.0, "published_norm": 6.0,
    "published_mse": 0.5, "published_ce_once": 3.0, "published_ce_twice": 4.0,
    # probes
    "correct": 2.0, "correct_sae": 1.0, "correct_codes": 1.0, "correct_chance": 0.0, "loss": 0.5,
    "loss_sae": 3.0, "loss_codes": 1.0, "loss_chance": 2.5,
    # positions
    "within_tokens": 4.0, "within_active": 12.0, "within_squared_error": 2.0,
    "within_squared_deviation": 16.0, "within_norm": 20.0, "within_predictions": 4.0,
    "within_ce_clean": 8.0, "within_ce_sae": 9.0, "beyond_tokens": 2.0, "beyond_active": 30.0,
    "beyond_squared_error": 6.0, "beyond_squared_deviation": 12.0, "beyond_norm": 15.0,
    "beyond_predictions": 1.0, "beyond_ce_clean": 1.5, "beyond_ce_sae": 3.5,
}  # fmt: skip
# The sums of an SAE fine-tuned from one with those above.
TUNED = {
    "squared_error": 0.25,
    "ce_sae": 5.0,
    "loss_sae": 2.0,
    "correct_sae": 2.0,
    "loss_codes": 1.5,
    "correct_codes": 0.0,
}
# Four latents of one SAE, and what is found for each among those of another.
MATCHES = {
    "best": np.array([1.0, 0.8, 0.4, 0.8]),
    "one": np.array([1.0, 0.8, np.nan, 0.3]),
    "active": np.array([1.0, 4.0, 1.0, 2.0]),
    "carried": np.array([2.0, 1.0, -1.0, 1.0]),
}
SIMILARITIES = ("best", "one")
"""What does not grow with the tokens."""
BY_HAND = {
    # dense_probes
    "probed_auc": 0.625, "probed_accuracy": 0.5, "probed_train_accuracy": 0.75,
    "probed_validation_auc": 0.6,
    # propagation
    "delta_ce_full": 0.5, "delta_ce_direct": 0.25, "delta_ce_attention_frozen": 0.75,
    "delta_ce_mlp_frozen": -0.25, "delta_ce_patterns_frozen": 0.0, "delta_ce_chain": 1.5,
    # reconstruction
    "l0": 1.5, "mse": 0.25, "fvu": 1 / 6.5, "l2_ratio": 0.75, "cosine": 1.0,
    "reconstruction_bias": 26 / 27, "density": [0.5, 0.0, 1.0], "dead": 1 / 3,
    "mse_reduction": 0.75,
    # language
    "ce_loss": 1.0, "ce_loss_sae": 1.5, "ce_loss_zero": 4.0, "ce_loss_mean": 3.0, "delta_ce": 0.5,
    "ce_recovered_zero": 10 / 12, "ce_recovered_mean": 6 / 8, "kl": 0.25, "perplexity": math.e,
    "perplexity_sae": math.exp(1.5), "language_change": -0.25,
    "perplexity_recovery": (math.exp(1.5) - math.exp(1.25)) / (math.exp(1.5) - math.e),
    # gate
    "identity_gap": 0.005, "centring_gap": 0.01, "l0_in_context": 1.5, "l0_over_stated": 0.75,
    # controls
    "controls_delta_ce": 0.5, "delta_ce_random_norm": 0.25, "delta_ce_random_cosine": 0.125,
    "delta_ce_zero": 3.0, "delta_ce_mean": 2.0, "pathology_norm": 2.0, "pathology_cosine": 4.0,
    "controls_kl": 0.5, "kl_random_norm": 0.125, "kl_random_cosine": 0.0625,
    "pathology_kl_norm": 4.0, "pathology_kl_cosine": 8.0,
    # positions
    "l0_within": 3.0, "l0_beyond": 15.0, "l0_beyond_ratio": 5.0, "fvu_within": 0.125,
    "fvu_beyond": 0.5, "fvu_beyond_ratio": 4.0, "squared_error_beyond_ratio": 6.0,
    "norm_beyond_ratio": 1.5, "delta_ce_within": 0.25, "delta_ce_beyond": 2.0,
    "delta_ce_growth": 1.75,
    # answers
    "accuracy": 0.5, "accuracy_clean": 0.75, "accuracy_first_token": 0.75,
    "accuracy_first_token_clean": 1.0, "accuracy_choice": 0.75, "accuracy_choice_clean": 1.0,
    "chance_of_choice": 0.1, "delta_logp": -0.5, "delta_logp_first_token": -0.75, "prompt_ce": 0.75,
    "prompt_ce_clean": 0.5, "delta_prompt_ce": 0.25, "answer_kl": 0.25, "logit_diff": 0.5,
    "logit_diff_clean": 1.5, "ioi_accuracy": 0.5, "ioi_accuracy_clean": 1.0, "prompt_l0": 0.5,
    "prompt_l1": 1.5, "prompt_squared_error": 1 / 6, "prompt_norm": 2.0,
    "prompt_mse_saelens24": 0.25, "published_l0": 5.0, "published_l1": 3.5, "published_norm": 3.0,
    "published_mse": 0.25, "published_delta_ce": 0.5,
    # sparse_probes
    "probed_l0": 0.75, "probed_mse": 0.125, "probed_fvu": 1 / 6.5, "probed_cosine": 1.0,
    "probed_l0_centred": 0.5, "probed_mse_centred": 0.0625, "probed_cosine_centred": 0.9,
    "probed_centring": 0.5,
    # probes
    "probe_accuracy": 1.0, "probe_accuracy_sae": 0.5, "probe_accuracy_codes": 0.5,
    "probe_accuracy_chance": 0.0, "probe_loss": 0.25, "probe_loss_sae": 1.5,
    "probe_loss_codes": 0.5, "probe_loss_chance": 1.25, "probe_loss_change": -0.5,
    "probe_accuracy_change": 0.5, "probe_loss_change_codes": 0.25,
    "probe_accuracy_change_codes": -0.5,
    # facts
    "fact_f1": 2 * 0.75 * 0.6 / (0.75 + 0.6),  # of precision 6/8 and recall 6/10
    "fact_f1_active": 0.5,  # precision 1/3, recall 1
    "fact_f1_union": 0.9,
    "fact_f1_probe": 8 / 11,  # precision 2/3, recall 4/5
    "fact_absorption": 0.25,
    # erasure
    "edit_delta_ce": 0.5, "edit_logit_difference": 0.5, "edit_end_score": -0.75,
    # similarity
    "mean_max": 0.75,
    "one_to_one": 0.7,  # of the three that have a partner
    "above_07": 0.75, "above_09": 0.25, "frequency_weighted": (1.0 + 4 * 0.8 + 0.4 + 2 * 0.8) / 8,
    "carried_weighted": (2 * 1.0 + 0.8 + 0.8) / 4,
}  # fmt: skip


def both(**tuned):
    """Return the sums of a parent and of an SAE fine-tuned from it."""
    parent = {f"parent_{name}": value for name, value in SUMS.items()}
    return {**parent, **{f"tuned_{name}": value for name, value in (SUMS | tuned).items()}}


def compute(name, sums):
    wide = {key: np.asarray(value, dtype=np.float64) for key, value in sums.items()}
    return METRICS[name].formula(wide)


def sums_of(name):
    if METRICS[name].per == "match":
        return MATCHES
    return both(**TUNED) if METRICS[name].paired else SUMS


def test_every_formula_has_a_case_by_hand():
    assert set(BY_HAND) == set(METRICS)


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_formula_gives_the_value_computed_by_hand(name):
    np.testing.assert_allclose(compute(name, sums_of(name)), BY_HAND[name], rtol=1e-14)


@pytest.mark.parametrize("name", sorted(BY_HAND))
def test_formula_works_on_a_whole_bootstrap_at_once(name):
    factors = np.array([1.0, 2.0, 3.0])
    stacked = {
        key: value if key.endswith(("d_in", "l0_stated")) else np.multiply.outer(factors, value)
        for key, value in sums_of(name).items()
    }
    stacked |= {key: np.stack(3 * [MATCHES[key]]) for key in SIMILARITIES if key in stacked}
    values = compute(name, stacked)
    # Every sum grew alike, so every ratio stays.
    np.testing.assert_allclose(values, np.broadcast_to(BY_HAND[name], values.shape), rtol=1e-14)
    assert len(values) == 3


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.paired])
def test_an_sae_beside_itself_has_not_changed(name):
    assert compute(name, both()) == 0


def test_what_is_recovered_and_reduced_in_full_is_one():
    assert compute("mse_reduction", both(squared_error=0.0)) == 1
    assert compute("perplexity_recovery", both(ce_sae=SUMS["ce_clean"])) == pytest.approx(1)


def test_loss_recovered_is_the_ratio_of_mean_losses_not_the_mean_of_ratios():
    # Two documents of one token. Clean 1 and 1, zero ablation 3 and 1.2, SAE 2 and 1.2:
    # the first recovers 1 of 2, the second 0 of 0.2.
    sums = {"ce_clean": 1 + 1, "ce_sae": 2 + 1.2, "ce_zero": 3 + 1.2}
    mean_of_ratios = (1 / 2 + 0 / 0.2) / 2
    assert compute("ce_recovered_zero", sums) == pytest.approx(1 / 2.2)
    assert compute("ce_recovered_zero", sums) != pytest.approx(mean_of_ratios)


def test_covered_and_dead_latents_add_up_to_the_width():
    density, dead = reconstruction.density(SUMS), reconstruction.dead(SUMS)
    assert (density > 0).sum() + dead * len(density) == len(density)


def test_a_recovered_share_is_doubted_where_ablation_hardly_hurts():
    # 4 predictions: zero ablation adds 12 nats, mean ablation a twentieth of one.
    sums = {**SUMS, "ce_mean": 4.02}
    assert METRICS["ce_recovered_zero"].doubt(sums) == ""
    assert "mean ablation adds only 0.0050 nats/token" in METRICS["ce_recovered_mean"].doubt(sums)
    assert language.doubt_of_mean({**SUMS, "ce_mean": 3.0})  # it even helps
    doubted = {name for name, metric in METRICS.items() if metric.doubt}
    ratios = {"pathology_norm", "pathology_cosine"}
    assert doubted == {"ce_recovered_zero", "ce_recovered_mean", "l0"} | ratios


def test_a_ratio_to_a_random_error_is_doubted_where_that_hardly_hurts():
    # 4 predictions: the error of equal cosine adds 0.002 nats to them all
    sums = {**SUMS, "ce_cosine": 4.002}
    assert METRICS["pathology_norm"].doubt(sums) == ""
    doubt = METRICS["pathology_cosine"].doubt(sums)
    assert doubt.startswith("a random error of equal cosine adds only 0.00050 nats/token")


def test_an_l0_above_a_quarter_of_the_latents_or_below_one_is_doubted():
    def doubt(active, d_sae=64.0):
        return METRICS["l0"].doubt({"active": active, "tokens": 10.0, "d_sae": d_sae})

    assert doubt(160.0) == doubt(10.0) == ""  # 16 of 64, and one
    assert doubt(161.0).startswith("16.1 of 64 latents are active on a token, more than a quarter")
    assert "raise the penalty (l1, l0_coef), set target_l0 in its place, or lower k" in doubt(161.0)
    assert "fewer than one" in doubt(9.0) and "lower the penalty" in doubt(9.0)
