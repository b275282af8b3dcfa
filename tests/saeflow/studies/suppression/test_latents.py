"""The tables about single latents, on SAEs whose latents are known."""

import dataclasses

import numpy as np
import pytest

from made_up_latents import D_SAE, N_TOKENS, family, latents
from made_up_study import table
from saeflow.studies.suppression import STUDY
from saeflow.studies.suppression.latents import _interval, change_of_rows
from saeflow.tables.runs import ORIGINAL


def test_rows_are_compared_by_length_and_direction():
    before = np.array([[1.0, 0], [0, 2], [3, 4], [0, 0]])
    after = np.array([[2.0, 0], [1, 0], [-3, -4], [1, 0]])
    scaling, rotation = change_of_rows(before, after)
    np.testing.assert_allclose(scaling, [2, 0.5, 1, np.nan])
    np.testing.assert_allclose(rotation, [1, 0, -1, np.nan])


def test_each_latent_has_what_the_penalty_took_and_fine_tuning_gave_back():
    found = table(STUDY, "latents", family())
    rows = found[found["method"] == "decoder"]
    assert len(rows) == D_SAE - 1  # one latent never fires
    np.testing.assert_allclose(rows["increase"], 2.0)
    np.testing.assert_allclose(rows["predicted"], 2.0)  # c d / 2 = .25 * 16 / 2
    np.testing.assert_allclose(rows["scaling"], 1 + 2 / rows["strength"])
    np.testing.assert_allclose(rows["rotation"], 1)
    assert set(found["method"]) == {"decoder", "decoder-exact"}
    assert set(zip(found["method"], found["solver"], strict=True)) == {
        ("decoder", "steps"), ("decoder-exact", "exact"),
    }  # fmt: skip


def test_a_law_of_equal_shifts_has_the_correlations_that_it_must_have():
    """Scaling 1 + 2 / strength falls with strength; the increase does not vary."""
    found = table(STUDY, "correlations", family())
    rows = found[found["method"] == "decoder"].set_index(["effect", "cause", "kind"])["r"]
    assert rows["scaling", "strength", "plain"] < -0.8
    assert rows["scaling", "strength", "partial"] < -0.8
    assert abs(rows["scaling", "frequency", "partial"]) < 0.4
    assert rows["scaling", "strength", "rank"] == pytest.approx(-1)  # it always falls
    assert len(rows) == 12 and (found["n_latents"] == D_SAE - 1).all()


def test_the_shift_is_the_median_increase_and_its_slope_is_one_where_the_theory_holds():
    found = table(STUDY, "shift", family() + family(l1=0.5, sae="relu-strong"))
    steps = found[found["method"] == "decoder"].set_index("sae")
    assert steps["predicted"].to_dict() == {"relu": 2.0, "relu-strong": 4.0}
    np.testing.assert_allclose(steps["increase"], steps["predicted"])
    np.testing.assert_allclose(steps["slope"], 1)


def test_the_slope_over_two_penalties_is_that_of_least_squares_through_the_origin():
    runs = family(taken=1.0) + family(l1=0.5, taken=3.0, sae="relu-strong")
    found = table(STUDY, "shift", runs)
    rows = found[found["method"] == "decoder"]
    assert rows["slope"].unique() == pytest.approx([(2 * 1 + 4 * 3) / (2**2 + 4**2)])
    # latents that all gained the same leave the slope no room
    for end in ("slope_low", "slope_high"):
        np.testing.assert_allclose(rows[end], 0.7)


def test_the_interval_of_the_slope_is_that_of_the_medians_of_resampled_latents():
    """With the shares 0, 1, ..., n - 1 the median of resamples has a known spread."""
    x, n = np.array([1.0, 2.0]), 401
    low, high = _interval(x, [np.arange(n), np.arange(n)], 4000, np.random.default_rng(0))
    # of a median the standard error is 1 / (2 density sqrt(n)): n / (2 sqrt(n))
    half = 1.96 * np.linalg.norm(x**2 * np.sqrt(n) / 2) / 5
    assert (low, high) == pytest.approx((200 - half, 200 + half), abs=0.15 * half)


def test_one_penalty_gives_a_slope_without_an_interval():
    found = table(STUDY, "shift", family())
    assert found["slope"].notna().all() and found["slope_low"].isna().all()


def test_methods_that_move_the_encoder_have_no_shift():
    """The factor is of a decoder row, and the latent before it is another one."""
    assert set(table(STUDY, "shift", family(fit="encoder"))["method"]) == {"decoder-exact"}


def test_an_sae_whose_loss_predicts_nothing_has_an_increase_alone():
    runs = family(architecture="gated", taken=2.0)
    assert table(STUDY, "latents", runs)["predicted"].isna().all()
    found = table(STUDY, "shift", runs)
    assert set(found["law"]) == {"none: the penalty is on the gates"}
    assert found[["predicted", "share", "slope"]].isna().all(axis=None)
    np.testing.assert_allclose(found.loc[found["method"] == "decoder", "increase"], 2.0)


def test_a_loss_in_other_units_predicts_the_same_latents():
    """d is 16: a sum needs 16 times the penalty, activations times 4 four times as much."""
    sums = family(sae="sum", l1=4.0, taken=2.0, settings={"error": "sum"})
    scaled = family(sae="scaled", l1=1.0, taken=2.0, scale=4.0)
    found = table(STUDY, "shift", family() + sums + scaled)
    np.testing.assert_allclose(found["predicted"], 2.0)
    np.testing.assert_allclose(found.loc[found["method"] == "decoder", "share"], 1.0)
    np.testing.assert_allclose(found.loc[found["method"] == "decoder", "slope"], 1.0)


def test_no_slope_is_over_two_laws():
    """All have a shift of 2 or 4 to predict, and a third of it under the other law."""
    norms = {"settings": {"norm_weighted": True}}
    runs = (
        *family(), *family(sae="strong", l1=0.5),
        *family(sae="norms", taken=2 / 3, **norms),
        *family(sae="norms-strong", l1=0.5, taken=4 / 3, **norms),
        *family(sae="gated", architecture="gated", taken=9.0),
    )  # fmt: skip
    found = table(STUDY, "shift", runs)
    steps = found[found["method"] == "decoder"].groupby("law")["slope"].agg(["min", "max"])
    np.testing.assert_allclose(steps.loc["L1"], 1.0)
    np.testing.assert_allclose(steps.loc["L1 of norms"], 1 / 3)
    assert steps.loc["none: the penalty is on the gates"].isna().all()


def test_ranks_count_from_the_most_frequent_latent():
    found = table(STUDY, "frequencies", family())
    assert len(found) == D_SAE and set(found["method"]) == {ORIGINAL}
    ordered = found.sort_values("rank_by_frequency")
    assert ordered["rank_by_frequency"].tolist() == list(range(1, D_SAE + 1))
    assert (ordered["log10_frequency"].diff().dropna() <= 0).all()
    assert (found.sort_values("rank_by_sum")["activation_sum"].diff().dropna() <= 0).all()
    assert (found["n_dead"] == 1).all() and not found["live"].all()
    fired = latents(1.0)["fired"]
    assert ordered["log10_frequency"].iloc[0] == pytest.approx(np.log10(fired.max() / N_TOKENS))


def test_the_table_of_latents_is_made_anew_for_other_runs():
    first, second = family(), family()
    assert table(STUDY, "latents", first) is table(STUDY, "latents", first)
    other = tuple(dataclasses.replace(run) for run in second)
    assert table(STUDY, "latents", other) is not table(STUDY, "latents", first)
