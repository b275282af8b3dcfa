"""Tables of factorial designs against what made-up SAEs share."""

import numpy as np
import pytest

import made_up_pairs
from made_up_fates import changed, noisy
from made_up_pairs import factorial as all_of
from made_up_pairs import mean_best, study
from saeflow.studies.universality.fates.designs import Design
from saeflow.studies.universality.fates.factorial import factorial, fate_shares

DRAWS = {"bootstrap": 50, "seed": 0}


def design(*numbers):
    return study({"all": all_of(*numbers)}, saes=("topk-x4",))


def together(table, quantity="cosine", outcome="similarity"):
    own = table[(table["reference"] == "") & (table["quantity"] == quantity)]
    return own[own["outcome"] == outcome].set_index("differ")


def test_values_are_means_over_features_and_references():
    made = design(2, 2, 2)
    table = together(factorial(made.runs, **made.given))
    assert list(table.index) == [
        "seed", "order", "part", "seed, order", "seed, part", "order, part", "seed, order, part",
    ]  # fmt: skip
    for differ, row in table.iterrows():
        pairs = [p for p in made.given["pairs"] if ", ".join(_in_order(p["differ"])) == differ]
        pairs = [p for p in pairs if p["comparison"] == "all"]
        expected = [
            mean_best(*keys, pair["differ"], "cosine")
            for pair in pairs
            for keys in (_keys(pair), _keys(pair)[::-1])
        ]
        assert row["value"] == pytest.approx(np.mean(expected))
        assert row["n_pairs"] == 8 and row["n_saes"] == 8
        assert row["least"] <= row["value"] <= row["most"]


def _in_order(names):
    return [name for name in ("seed", "order", "part") if name in names]


def _keys(pair):
    return [made_up_pairs.reading.key_of(pair[side]) for side in ("first", "second")]


def test_what_factors_take_together_is_not_taken_twice():
    made = design(2, 2, 2)
    table = together(factorial(made.runs, **made.given), "correlation")
    # half of the features are shared, with .97 less .04 (seed), .02 (order) and .08 (part);
    # the others' best match has .1: S = (.97 - costs + .1) / 2
    assert table["value"]["seed"] == pytest.approx((0.97 - 0.04 + 0.1) / 2)
    assert table["own"]["seed"] == pytest.approx(1 - 0.515)
    assert table["own"]["seed, order"] == pytest.approx((1 - 0.505) - 0.485 - 0.475)
    assert table["own"].sum() == pytest.approx(1 - table["value"]["seed, order, part"])
    assert table["portion"].sum() == pytest.approx(1 - table["value"]["seed, order, part"])
    # alike but for what each costs: (.465 / 3) + what the cost adds to half of the features
    assert table["portion"]["part"] - table["portion"]["order"] == pytest.approx(0.06 / 2)


def test_found_is_at_least_seven_tenths_and_chance_stands_beside():
    made = design(2, 2, 1)
    table = factorial(made.runs, **made.given)
    own = together(table, "correlation", "found")
    assert (own["value"] == 0.5).all() and (own["null"] == 0).all()
    assert together(table, "correlation")["null"].to_numpy() == pytest.approx(0.1)


def test_each_sae_is_the_reference_once():
    made = design(3, 2, 1)
    table = factorial(made.runs, **made.given)
    single = table[(table["reference"] != "") & (table["quantity"] == "cosine")]
    assert single["reference"].nunique() == 6
    own = together(table)
    assert own["n_pairs"].to_dict() == {"seed": 12, "order": 6, "seed, order": 12}


def test_intervals_hold_the_value_and_need_draws():
    made = design(2, 2, 1)
    drawn = together(factorial(made.runs, **made.given, **DRAWS))
    assert (drawn["value_low"] <= drawn["value"]).all()
    assert (drawn["value"] <= drawn["value_high"]).all()
    assert (drawn["value_low"] < drawn["value_high"]).all()
    assert together(factorial(made.runs, **made.given))["value_low"].isna().all()


def test_with_a_missing_sae_there_is_still_all_that_can_be_said():
    made = design(2, 2, 2)
    gone = made_up_pairs.reading.key_of(made.given["pairs"][0]["first"])
    runs = [run for run in made.runs if gone not in (run.key.training, *run.key.other)]
    table = together(factorial(runs, **made.given))
    assert len(table) == 7 and (table["n_saes"] == 7).all() and (table["n_pairs"] == 6).all()
    shares = fate_shares(runs, **made.given)
    assert (shares["n_features"] == 7 * 60).all()
    own = shares[shares["outcome"] == "similarity"]
    assert own.groupby("quantity")["share"].sum().to_numpy() == pytest.approx([1, 1])


def test_a_comparison_of_one_factor_is_no_design():
    made = study({"seeds": {"vary": ["seed"], "seeds": [0, 1, 2]}})
    assert not list(Design.all(made.runs, made.given["pairs"]))
    assert factorial(made.runs, **made.given).empty
    assert fate_shares(made.runs, **made.given).empty


def test_other_differences_are_no_part_of_a_design():
    names = ["topk-x4", "topk-x4-order-1", "topk-x8"]
    made = study({"all": {"vary": ["sae", "seed"], "saes": names, "seeds": [0, 1]}})
    designs = list(Design.all(made.runs, made.given["pairs"]))
    # of expansion 8 there are two seeds and no order: no factorial
    assert [len(one.group.saes) for one in designs] == [4]
    assert designs[0].columns()["sae"] == "topk-x4"


def test_the_fate_of_features_that_some_find_and_others_do_not_is_their_own():
    made = design(2, 2, 2)
    table = fate_shares(made.runs, **made.given, **DRAWS)
    found = table[(table["outcome"] == "found") & (table["quantity"] == "cosine")]
    found = found.set_index("source")
    assert found["share"]["feature"] == pytest.approx(1.0)
    assert found["share"].drop("feature").abs().max() < 1e-12
    # 8 references of 60 features and 7 cells: 59 of 60 * 7 - 1 degrees of freedom
    assert found["chance"]["feature"] == pytest.approx(59 / 419)
    assert found["chance"].sum() == pytest.approx(1.0)


def test_a_factor_that_all_features_mind_has_the_variance():
    made = design(2, 2, 1)

    def by_seed(own, other, table, others):  # noqa: ARG001
        table["cosine"] = 0.2 if own.seed != other.seed else 0.9

    changed(made, by_seed)
    table = fate_shares(made.runs, **made.given)
    own = table[table["quantity"] == "cosine"].set_index(["outcome", "source"])["share"]
    # cells: seed and both .2, order .9. Seed first: all is its; order first: with it .55, without
    # .2; mean .4333, squares 2 (.1167)^2 + (.2333)^2 = .0817 of .3267, a quarter
    assert own["similarity", "seed"] == pytest.approx((1 + 0.75) / 2)
    assert own["similarity", "order"] == pytest.approx(0.25 / 2)
    assert own["found", "feature"] == pytest.approx(0.0)


def test_where_nothing_varies_there_are_no_shares():
    made = design(2, 2, 1)

    def same(own, other, table, others):  # noqa: ARG001
        table["cosine"] = 0.9

    table = fate_shares(changed(made, same).runs, **made.given)
    own = table[table["quantity"] == "cosine"]
    assert own["share"].isna().all() and own["chance"].notna().all()


def test_shares_add_up_with_noise_too():
    made = noisy(design(2, 2, 2))
    table = fate_shares(made.runs, **made.given)
    sums = table.groupby(["quantity", "outcome"])["share"].sum()
    assert sums.to_numpy() == pytest.approx(np.ones(4))
    assert (table["least"] <= table["share"] + 1e-12).all()
