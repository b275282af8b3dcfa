"""Which SAEs are held against which, and in what each pair is said to differ."""

import itertools

import pytest

import made_up_pairs as made
from saeflow.studies.study import WITH
from saeflow.studies.universality.comparisons import (
    NULLS,
    differences,
    each_sae,
    given_pairs,
    paired,
    pairs,
)


def short(found, *keys):
    """Return of each pair the values of some wildcards of the first and of the second."""
    return [tuple(tuple(row[k] for k in keys) for row in (p.first, p.second)) for p in found]


@pytest.mark.parametrize(
    ("vary", "values", "differ", "held"),
    [
        ("hook", {"hooks": ["mlp_out.0", "mlp_out.1"]}, "hook", ("mlp_out.0", "mlp_out.1")),
        ("sae", {"saes": ["relu-x2", "topk"]}, "architecture", ("relu-x2", "topk")),
        ("seed", {"seeds": [0, 1]}, "seed", (0, 1)),
        ("model", {"models": ["other", "small"]}, "model", ("other", "small")),
        ("model", {"models": ["small", "small@4"]}, "checkpoint", ("small", "small@4")),
    ],
)
def test_two_values_of_what_varies_are_a_pair(asked, vary, values, differ, held):
    (pair,) = pairs(*asked({"one": {"vary": [vary], **values}}))
    assert pair.comparison == "one"
    assert pair.differ == ({"sae": "expansion"}.get(vary, differ) if differ == vary else differ,)
    assert (pair.first[vary], pair.second[vary]) == held
    assert {k: v for k, v in pair.first.items() if k != vary} == {
        k: v for k, v in pair.second.items() if k != vary
    }


def test_places_of_training_differ_in_dataset_or_packing(asked):
    places = [("texts", "short"), ("others", "short"), ("texts", "shorter")]
    places = [{"dataset": dataset, "packing": packing} for dataset, packing in places]
    found = pairs(*asked({"texts": {"vary": ["train_on"], "train_on": places}}))
    assert {(*short([p], "dataset", "packing")[0], p.differ) for p in found} == {
        (("others", "short"), ("texts", "short"), ("dataset",)),
        (("others", "short"), ("texts", "shorter"), ("dataset", "packing")),
        (("texts", "short"), ("texts", "shorter"), ("packing",)),
    }


def test_what_is_not_varied_agrees_and_each_of_its_values_has_pairs(asked):
    found = pairs(*asked({"seeds": {
        "vary": ["seed"], "seeds": [0, 1, 2], "hooks": ["mlp_out.0", "mlp_out.1"], "saes": ["relu"],
    }}))  # fmt: skip
    assert len(found) == 3 * 2 * 2  # pairs of three seeds, hooks, recipes of the sweep
    for pair in found:
        assert all(pair.first[key] == pair.second[key] for key in ("hook", "sae", "model"))
        assert pair.differ == ("seed",)


def test_several_at_once_are_a_factorial(asked):
    """Eight SAEs: 28 pairs, of which 4 differ in one thing alone, for each of three things."""
    found = pairs(*asked({"factorial": {
        "vary": ["seed", "sae"], "seeds": [0, 1],
        "saes": ["relu-x2", "relu-order", "relu-half", "relu-order-half"],
    }}))  # fmt: skip
    differ = [pair.differ for pair in found]
    assert len(found) == 28
    factors = ("order", "part", "seed")
    for n in (1, 2, 3):
        assert all(differ.count(parts) == 4 for parts in itertools.combinations(factors, n))


def test_one_value_can_be_held_against_all_others(asked):
    saes = ["relu-x2", "relu-x4", "topk"]
    found = pairs(*asked({"widths": {"vary": ["sae"], "saes": saes, "against": "relu-x4"}}))
    assert short(found, "sae") == [(("relu-x2",), ("relu-x4",)), (("relu-x4",), ("topk",))]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_number_can_be_held_against_too(asked, seed):
    found = pairs(*asked({"s": {"vary": ["seed"], "seeds": [0, 1, 2], "against": seed}}))
    assert len(found) == 2
    assert all((seed,) in one for one in short(found, "seed"))


def test_the_order_of_the_configuration_changes_no_pair(asked):
    def found(saes, seeds):
        both = {"vary": ["sae", "seed"], "saes": saes, "seeds": seeds}
        return pairs(*asked({"both": both}))

    one, other = found(["relu", "topk"], [0, 1]), found(["topk", "relu"], [1, 0])
    assert len(one) == 6 * 5 / 2
    assert sorted(map(str, one)) == sorted(map(str, other))


def test_a_pair_of_several_comparisons_is_measured_once_and_told_of_in_each(asked):
    made = asked({
        "seeds": {"vary": ["seed"], "seeds": [0, 1]},
        "both": {"vary": ["seed", "hook"], "seeds": [1, 0], "hooks": ["mlp_out.1", "mlp_out.0"]},
    })  # fmt: skip
    assert len(pairs(*made)) == 1 + 6
    rows = list(paired(*made))
    assert len(rows) == 6
    told = given_pairs(*made)["pairs"]
    assert [one["comparison"] for one in told] == ["seeds", *["both"] * 6]
    assert {*told[0]} == {"comparison", "differ", "first", "second", "reference"}
    assert all(row[WITH] != {k: v for k, v in row.items() if k != WITH} for row in rows)


def test_each_sae_of_the_pairs_is_there_once(asked):
    seeds = {"vary": ["seed"], "seeds": [0, 1, 2]}
    rows = list(each_sae(*asked({"seeds": seeds, "again": {**seeds, "seeds": [2, 3]}})))
    assert [row["seed"] for row in rows] == [0, 1, 2, 3]


def test_nulls_are_held_against_the_studys_own_saes_of_the_first_seed(asked):
    made = asked(
        {"seeds": {"vary": ["seed"], "seeds": [0, 1]}},
        hooks=["mlp_out.0", "mlp_out.1"],
        seeds=[5, 6],
        nulls={"hooks": ["mlp_out.1"], "saes": ["untrained"], "models": ["noise"]},
    )
    found = [pair for pair in pairs(*made) if pair.comparison != "seeds"]
    named = [(p.comparison, *short([p], "model", "hook", "sae")[0]) for p in found]
    own = [("small", "mlp_out.0", "relu-x2"), ("small", "mlp_out.1", "relu-x2")]
    assert sorted(named) == [
        ("another layer", *own),
        ("random weights", own[0], ("small", "mlp_out.0", "untrained")),
        ("random weights", own[1], ("small", "mlp_out.1", "untrained")),
        ("shuffled model", ("noise", *own[0][1:]), own[0]),
        ("shuffled model", ("noise", *own[1][1:]), own[1]),
    ]
    sides = {p.comparison: {one.reference for one in found if one.comparison == p.comparison}
             for p in found}  # fmt: skip
    assert sides == {
        "another layer": {"first"}, "random weights": {"first"}, "shuffled model": {"second"},
    }  # fmt: skip
    own = {(row[p.reference]["seed"]) for p in found for row in (p._asdict(),)}
    assert own == {5}


@pytest.mark.parametrize(
    ("own_seeds", "compared", "other"),
    [([0], [3, 1000], 1001), ([0], [0, 1], 1000), ([3, 1000], [0, 1], 1001)],
)
def test_nulls_have_a_seed_that_no_other_sae_has(own_seeds, compared, other):
    seeds = {"vary": ["seed"], "seeds": compared}
    study = made.study({"seeds": seeds}, hooks=["mlp_out.1", "mlp_out.3"], seeds=own_seeds)
    found = [pair for pair in pairs(study.config, study.section) if pair.comparison in NULLS]
    # of two hooks with three nulls each; one of these is the hook itself
    assert len(found) == 5
    for pair in found:
        own = pair._asdict()[pair.reference]
        (null,) = [row for row in (pair.first, pair.second) if row != own]
        assert (own["seed"], null["seed"]) == (own_seeds[0], other)
        assert pair.differ[-1] == "seed"


def test_without_nulls_there_are_pairs_of_comparisons_alone(asked):
    assert [p.comparison for p in pairs(*asked({"s": {"vary": ["seed"], "seeds": [0, 1]}}))] == [
        "s"
    ]


OWN = {"model": "small", "dataset": "texts", "packing": "short", "hook": "mlp_out.1"}


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ({}, {"seed": 1}, ["seed"]),
        ({}, {"model": "other"}, ["model"]),
        ({}, {"model": "small@4"}, ["checkpoint"]),
        ({"model": "small@4"}, {"model": "small@8"}, ["checkpoint"]),
        ({"model": "small@4"}, {"model": "other"}, ["model"]),
        ({}, {"dataset": "others"}, ["dataset"]),
        ({}, {"packing": "shorter"}, ["packing"]),
        ({}, {"packing": "untested"}, ["packing"]),
        ({}, {"dataset": "others", "packing": "untested"}, ["dataset"]),
        ({}, {"dataset": "others", "packing": "shorter"}, ["dataset", "packing"]),
        ({}, {"hook": "mlp_out.0"}, ["hook"]),
        ({"hook": "blocks.1.hook_mlp_out"}, {}, []),
        ({}, {"sae": "relu-x4"}, ["expansion"]),
        ({}, {"sae": "relu-order"}, ["order"]),
        ({}, {"sae": "relu-half"}, ["part"]),
        ({"sae": "relu-order"}, {"sae": "relu-half"}, ["order", "part"]),
        ({}, {"sae": "relu-strong"}, ["recipe"]),
        ({}, {"sae": "untrained"}, ["recipe"]),
        ({}, {"sae": "topk"}, ["architecture"]),
        ({}, {"sae": "topk-x4"}, ["architecture", "expansion"]),
        ({"sae": "relu-x4"}, {"sae": "relu-strong"}, ["expansion", "recipe"]),
        ({}, {"sae": "pca"}, ["architecture"]),
        ({}, {"sae": "theirs"}, ["recipe"]),
        ({}, {"sae": "relu-x2~scale"}, ["recipe"]),
        (
            {"model": "other", "hook": "mlp_out.0"},
            {"sae": "relu-order", "seed": 2},
            ["model", "hook", "order", "seed"],
        ),
    ],
)
def test_what_two_saes_differ_in_has_a_name(asked, one, other, differ):
    config, _ = asked()
    rows = [{**OWN, "sae": "relu-x2", "seed": 0, **changed} for changed in (one, other)]
    assert differences(config, *rows) == differ
    assert differences(config, *rows[::-1]) == differ
