"""The tables about single latents, on SAEs whose latents are known."""

import numpy as np
import pytest

import made_up_latents
from made_up_latents import D_SAE, N_TOKENS, family, latents, with_architectures
from saeflow.tables.runs import ORIGINAL
from saeflow.tables.suppression import (
    closed_form,
    correlations,
    frequencies,
    kept,
    language_change,
    perplexity_recovery,
    shift,
    suppression_by_architecture,
    tuning_curves,
)
from saeflow.tables.suppression import latents as latents_table

OPTIONS = dict(bootstrap=200, seed=0)


def measured(runs):
    return [run for run in runs if run.key.eval_dataset]


def trained(runs):
    return [run for run in runs if not run.key.eval_dataset]


def test_each_latent_has_what_the_penalty_took_and_fine_tuning_gave_back():
    table = latents_table.build(family())
    rows = table[table["method"] == "decoder"]
    assert len(rows) == D_SAE - 1  # one latent never fires
    np.testing.assert_allclose(rows["increase"], 2.0)
    np.testing.assert_allclose(rows["predicted"], 2.0)  # c d / 2 = .25 * 16 / 2
    np.testing.assert_allclose(rows["scaling"], 1 + 2 / rows["strength"])
    np.testing.assert_allclose(rows["rotation"], 1)
    assert set(table["method"]) == {"decoder", "decoder-exact"}
    assert set(zip(table["method"], table["solver"], strict=True)) == {
        ("decoder", "steps"), ("decoder-exact", "exact"),
    }  # fmt: skip


def test_a_law_of_equal_shifts_has_the_correlations_that_it_must_have():
    """Scaling 1 + 2 / strength falls with strength; the increase does not vary."""
    table = correlations.build(family())
    rows = table[table["method"] == "decoder"].set_index(["effect", "cause", "kind"])["r"]
    assert rows["scaling", "strength", "plain"] < -0.8
    assert rows["scaling", "strength", "partial"] < -0.8
    assert abs(rows["scaling", "frequency", "partial"]) < 0.4
    assert rows["scaling", "strength", "rank"] == pytest.approx(-1)  # it always falls
    assert len(rows) == 12 and (table["n_latents"] == D_SAE - 1).all()


def test_the_shift_is_the_median_increase_and_its_slope_is_one_where_the_theory_holds():
    runs = family() + family(l1=0.5, sae="relu-strong")
    table = shift.build(runs, **OPTIONS)
    steps = table[table["method"] == "decoder"].set_index("sae")
    assert steps["predicted"].to_dict() == {"relu": 2.0, "relu-strong": 4.0}
    np.testing.assert_allclose(steps["increase"], steps["predicted"])
    np.testing.assert_allclose(steps["slope"], 1)


def test_the_slope_over_two_penalties_is_that_of_least_squares_through_the_origin():
    runs = family(taken=1.0) + family(l1=0.5, taken=3.0, sae="relu-strong")
    table = shift.build(runs, **OPTIONS)
    slope = table[table["method"] == "decoder"]["slope"].unique()
    assert slope == pytest.approx([(2 * 1 + 4 * 3) / (2**2 + 4**2)])


def test_latents_that_all_gained_the_same_leave_the_slope_no_room():
    runs = family(taken=1.0) + family(l1=0.5, taken=3.0, sae="relu-strong")
    table = shift.build(runs, **OPTIONS)
    rows = table[table["method"] == "decoder"]
    for end in ("slope_low", "slope_high"):
        np.testing.assert_allclose(rows[end], 0.7)


def test_the_interval_of_the_slope_is_that_of_the_medians_of_resampled_latents():
    """With the increases 0, 1, ..., n - 1 the median of resamples has a known spread."""
    x, n = np.array([1.0, 2.0]), 401
    low, high = shift._interval(
        x, [np.arange(n), 2.0 * np.arange(n)], 4000, np.random.default_rng(0)
    )
    # of a median the standard error is 1 / (2 density sqrt(n)): n / (2 sqrt(n)), twice of that
    errors = np.array([1, 2]) * np.sqrt(n) / 2
    half = 1.96 * np.linalg.norm(x * errors) / 5
    assert (low, high) == pytest.approx((200 - half, 200 + half), abs=0.15 * half)


def test_one_penalty_gives_a_slope_without_an_interval():
    table = shift.build(family(), **OPTIONS)
    assert table["slope"].notna().all() and table["slope_low"].isna().all()


def test_methods_that_move_the_encoder_have_no_shift():
    """The factor is of a decoder row, and the latent before it is another one."""
    runs = family()
    for run in trained(runs):
        if run.records["sae"]["settings"].get("solver") == "steps":
            run.records["sae"]["settings"]["method"] = "encoder"
    assert set(shift.build(runs, **OPTIONS)["method"]) == {"decoder-exact"}


def test_no_shift_without_any_runs():
    assert shift.build([], **OPTIONS).empty


def test_an_sae_without_an_l1_penalty_has_no_predicted_shift():
    runs = family()
    for run in trained(runs):
        run.records["sae"]["settings"].pop("l1", None)
    assert latents_table.build(runs)["predicted"].isna().all()
    assert shift.build(runs, **OPTIONS).empty


def test_perplexity_recovery_of_a_hand_made_case():
    """Losses 1, 2 and 1.5 nats: (e^2 - e^1.5) / (e^2 - e)."""
    table = perplexity_recovery.build(measured(family()), **OPTIONS).set_index("method")
    e = np.e
    assert table["perplexity_recovery"]["decoder"] == pytest.approx((e**2 - e**1.5) / (e**2 - e))
    # the same in every document: resampling changes nothing
    row = table.loc["decoder"]
    ends = row["perplexity_recovery_low"], row["perplexity_recovery_high"]
    assert ends == pytest.approx((row["perplexity_recovery"],) * 2)


def test_the_change_of_the_loss_is_after_minus_before_in_pairs():
    """2 nats before, 1.5 after; documents differ, their differences do not."""
    table = language_change.build(measured(family()), **OPTIONS).set_index("method")
    for name in ("language_change", "language_change_low", "language_change_high"):
        assert table[name].to_dict() == pytest.approx({"decoder": -0.5, "decoder-exact": -0.6})


def test_the_change_of_the_loss_weighs_documents_by_their_predictions():
    sums = {"parent_predictions": 40.0, "parent_ce_sae": 80.0, "tuned_ce_sae": 70.0}
    assert language_change.change(sums) == -0.25


def test_the_posts_table_gives_its_quoted_mean_reduction():
    """Table A1 of the post, layers 1 to 6; it quotes 8.76 % as the mean over layers."""
    before = np.array([0.0159, 0.0270, 0.0431, 0.0507, 0.0645, 0.1167])
    after = np.array([0.0154, 0.0257, 0.0379, 0.0454, 0.0582, 0.1024])
    from saeflow.tables.suppression.mse_reduction import reduction

    found = reduction({"parent_squared_error": before, "tuned_squared_error": after})
    assert found.mean() == pytest.approx(0.0875, abs=2e-4)


def test_ranks_count_from_the_most_frequent_latent():
    table = frequencies.build(measured(family()))
    assert len(table) == D_SAE and set(table["method"]) == {ORIGINAL}
    ordered = table.sort_values("rank_by_frequency")
    assert ordered["rank_by_frequency"].tolist() == list(range(1, D_SAE + 1))
    assert (ordered["log10_frequency"].diff().dropna() <= 0).all()
    assert (table.sort_values("rank_by_sum")["activation_sum"].diff().dropna() <= 0).all()
    assert (table["n_dead"] == 1).all() and not table["live"].all()
    fired = latents(1.0)["fired"]
    assert ordered["log10_frequency"].iloc[0] == pytest.approx(np.log10(fired.max() / N_TOKENS))


def test_the_closed_form_is_compared_with_the_steps_that_fitted_the_same_weights():
    table = closed_form.build(family(), **OPTIONS)
    assert len(table) == 1
    row = table.iloc[0]
    assert (row["method"], row["steps"], row["fit"], row["ridge"]) == (
        "decoder-exact", "decoder", "decoder", 10.0,
    )  # fmt: skip
    assert row["excess"] == pytest.approx(80 / 75 - 1)
    assert row["excess_low"] == pytest.approx(row["excess_high"])  # the same in all documents
    assert row["row_difference"] == pytest.approx(0.01 / 1.01)


def test_a_frozen_encoder_keeps_every_count():
    table = kept.build(measured(family()))
    assert (table["same_counts"] == 1).all() and (table["same_documents"] == 1).all()
    runs = measured(family())
    other = made_up_latents.latents(1.0, seed=5)
    object.__setattr__(runs[1], "read_latents", lambda: other)
    assert kept.build(runs)["same_counts"].iloc[0] < 0.2


def test_tuning_curves_are_the_logs_and_the_end_of_the_closed_form():
    table = tuning_curves.build(trained(family()))
    steps = table[table["solver"] == "steps"]
    assert steps["tokens"].tolist() == [100, 200] and steps["mse"].tolist() == [2.0, 1.0]
    exact = table[table["solver"] == "exact"]
    assert exact["tokens"].tolist() == [500] and exact["mse"].tolist() == [0.7]
    assert set(table["fit"]) == {"decoder"}


def test_suppression_stands_beside_the_architecture_of_each_original():
    runs = with_architectures({"relu": (0.9, 20.0), "gated": (1.0, 30.0)})
    table = suppression_by_architecture.build(runs)
    assert table["sae"].tolist() == table["architecture"].tolist() == ["relu", "gated"]
    assert set(table["method"]) == {"original"}
    assert table["reconstruction_bias"].tolist() == [0.9, 1.0] and table["l0"].tolist() == [20, 30]
    ends = table[["reconstruction_bias_low", "reconstruction_bias_high"]].to_numpy(float)
    np.testing.assert_allclose(ends, [[0.89, 0.91], [0.99, 1.01]])


@pytest.mark.parametrize("module", [correlations, frequencies, kept, tuning_curves])
def test_without_any_runs_a_table_has_its_columns(module):
    table = module.build([])
    assert table.empty and "method" in table
