"""What a configuration of the study may ask, and what it is told where it cannot be."""

import pytest

from saeflow.config.checks import resolve
from saeflow.errors import ConfigError
from saeflow.studies.universality.comparisons import each_sae, pairs

SEEDS = {"vary": ["seed"], "seeds": [0, 1]}
OTHER = {"dataset": "others", "packing": "short"}
OWN = {"dataset": "texts", "packing": "short"}


@pytest.fixture
def asked(config):
    """Return a configuration with keys of the study changed, and its section."""

    def of(**study):
        config["studies"]["universality"].update(study)
        made = resolve(config, file="study.yaml")
        return made, made["studies"]["universality"]

    return of


BAD = [
    ({"comparisons": {}}, "comparisons", "at least 1"),
    ({"comparisons": {"c": {"vary": []}}}, "comparisons > c > vary", "at least 1"),
    (
        {"comparisons": {"c": {"vary": ["width"]}}},
        "comparisons > c > vary",
        "one of model, train_on, hook, sae, seed; got width",
    ),
    ({"comparisons": {"a b": SEEDS}}, "the name 'a b' cannot be part of a path", "letters"),
    (
        {"comparisons": {"c": {"vary": ["seed"]}}},
        "comparisons > c > seeds: there is nothing to compare",
        "expected two at least, for it varies; got [0]",
    ),
    (
        {"comparisons": {"c": {"vary": ["seed", "hook"], "seeds": [0, 1]}}},
        "comparisons > c > hooks: there is nothing to compare",
        "got ['mlp_out.1']",
    ),
    (
        {"comparisons": {"c": {"vary": ["train_on"]}}},
        "comparisons > c > train_on: there is nothing to compare",
        "two at least",
    ),
    (
        {"comparisons": {"c": {**SEEDS, "train_on": [OWN, OTHER]}}},
        "comparisons > c > vary: SAEs are trained at several places",
        "expected train_on among them; got seed",
    ),
    (
        {"comparisons": {"c": {"vary": ["seed"], "seeds": [0, 0]}}},
        "comparisons > c > seeds",
        "each item once",
    ),
    (
        {"comparisons": {"c": {**SEEDS, "against": 2}}},
        "comparisons > c > against: there is no such value",
        "expected one of 0, 1; got 2",
    ),
    (
        {"comparisons": {"c": {"vary": ["sae"], "saes": ["relu", "topk"], "against": "relu"}}},
        "comparisons > c > against",
        "one of relu-x2, relu-x4, topk; got relu",
    ),
    (
        {"seeds": [0, 1], "comparisons": {"c": {"vary": ["seed"], "against": 3}}},
        "comparisons > c > against",
        "one of 0, 1; got 3",
    ),
    (
        {"comparisons": {"c": {**SEEDS, "vary": ["seed", "sae"], "saes": ["relu"], "against": 0}}},
        "comparisons > c > against",
        "varies one of model, hook, sae, seed",
    ),
    (
        {"comparisons": {"c": {
            "vary": ["train_on"], "train_on": [OWN, OTHER], "against": "texts",
        }}},
        "comparisons > c > against",
        "varies one of model, hook, sae, seed",
    ),
    (
        {"comparisons": {"c": {"vary": ["model"], "models": ["small", "smal"]}}},
        "comparisons > c > models: there is no 'smal' under models",
        "'small'",
    ),
    (
        {"comparisons": {"c": {"vary": ["model"], "models": ["small", "small@3"]}}},
        "comparisons > c > models",
        "no such checkpoint",
    ),
    (
        {"comparisons": {"c": {"vary": ["sae"], "saes": ["relu", "tpk"]}}},
        "comparisons > c > saes: there is no 'tpk' under saes",
        "'topk'",
    ),
    (
        {"comparisons": {"c": {"vary": ["train_on"], "train_on": [OWN, {**OWN, "packing": "x"}]}}},
        "comparisons > c > train_on > packing: there is no 'x'",
        "short",
    ),
    (
        {"comparisons": {"c": {"vary": ["hook"], "hooks": ["mlp_out.1", "mlp_out.9"]}}},
        "comparisons > c > hooks",
        "has no hook 'mlp_out.9'",
    ),
    (
        {"comparisons": {"c": {
            "vary": ["model"], "models": ["small", "other"], "hooks": ["mlp_out.1", "mlp_out.3"],
        }}},
        "comparisons > c > hooks: the model 'other' has no hook 'mlp_out.3'",
        "BLOCK from 0 to 1",
    ),
    (
        {"comparisons": {"c": {"vary": ["seed"], "seeds": [0, 1], "saes": ["theirs"]}}},
        "comparisons > c > seeds",
        "'theirs' is one",
    ),
    (
        {"comparisons": {"c": {"vary": ["model"], "models": ["small", "foreign"]}}},
        "comparisons > c: activations are compared token by token, and these models read different"
        " tokens",
        "expected models with one tokenizer; got foreign with letters and small with words",
    ),
    ({"nulls": {"hooks": ["mlp_out.9"]}}, "nulls > hooks", "has no hook 'mlp_out.9'"),
    ({"nulls": {"saes": ["rely"]}}, "nulls > saes: there is no 'rely' under saes", ""),
    ({"nulls": {"models": ["big"]}}, "nulls > models: there is no 'big' under models", "small"),
    (
        {"nulls": {"saes": ["relu"]}},
        "nulls > saes: the weights of this SAE are not random",
        "tokens: 0, or architecture: random; got relu-x2",
    ),
    (
        {"nulls": {"models": ["other"]}},
        "nulls > models: the weights of this model mean something",
        "models with `shuffle`, or MODEL@0; got other",
    ),
    (
        {"nulls": {"models": ["scrambled"]}},
        "nulls: activations are compared token by token",
        "got scrambled with letters and small with words",
    ),
    ({"nulls": {"seeds": [1]}}, "nulls", "seeds"),
    (
        {"language_saes": ["topk"]},
        "language_saes: the study does not have this one among its `saes`",
        "some of: relu-x2; got topk",
    ),
    ({"language_saes": ["none"]}, "language_saes: the study does not have", "got none"),
    ({"effect_saes": ["topk"]}, "effect_saes: the study does not have", "among its `saes`"),
    (
        {"contexts_of": ["widths"]},
        "contexts_of: the study does not have this one among its `comparisons`",
        "some of: seeds; got widths",
    ),
    ({"facts_of": ["widths"]}, "facts_of: the study does not have", "some of: seeds"),
]  # fmt: skip


@pytest.mark.parametrize(("study", "first", "second"), BAD)
def test_what_cannot_be_compared_is_refused(asked, study, first, second):
    with pytest.raises(ConfigError) as refused:
        asked(**study)
    message = str(refused.value)
    assert message.startswith("study.yaml > studies > universality > ")
    assert first in message
    assert second in message
    assert "\n" not in message


def test_what_a_comparison_does_not_list_is_the_studys_own(asked):
    made = asked(seeds=[3, 4], comparisons={"c": {"vary": ["seed"]}})
    assert [(p.first["seed"], p.second["seed"]) for p in pairs(*made)] == [(3, 4)]


def test_hooks_are_read_by_either_name(asked):
    hooks = ["blocks.0.hook_mlp_out", "mlp_out.1"]
    (pair,) = pairs(*asked(comparisons={"c": {"vary": ["hook"], "hooks": hooks}}))
    assert (pair.first["hook"], pair.second["hook"]) == ("mlp_out.0", "mlp_out.1")


def test_a_smaller_model_is_compared_where_it_has_the_hook(asked):
    models = {"vary": ["model"], "models": ["small", "other"], "hooks": ["mlp_out.0"]}
    assert len(pairs(*asked(hooks=["mlp_out.3"], comparisons={"c": models}))) == 1


def test_one_place_other_than_the_studys_needs_not_be_varied(asked):
    (pair,) = pairs(*asked(comparisons={"c": {**SEEDS, "train_on": [OTHER]}}))
    assert pair.first["dataset"] == pair.second["dataset"] == "others"


def test_a_sweep_stands_for_its_recipes_wherever_saes_are_named(asked, config):
    config["saes"]["empty"] = {
        "architecture": "relu", "l1": 0.1, "tokens": 0, "expansion": [2, 4],
    }  # fmt: skip
    made = asked(
        saes=["relu"],
        comparisons={"c": {"vary": ["sae"]}, "d": {"vary": ["sae"], "saes": ["relu", "topk"]}},
        nulls={"saes": ["empty"]},
        language_saes=["relu"],
    )
    assert made[1]["language_saes"] == ["relu-x2", "relu-x4"]
    assert {row["sae"] for row in each_sae(*made)} == {
        "relu-x2", "relu-x4", "topk", "empty-x2", "empty-x4",
    }  # fmt: skip


@pytest.mark.parametrize("null", ["noise", "small@0"])
def test_models_that_mean_nothing_are_nulls(asked, null):
    made = asked(nulls={"models": [null]})
    assert [p.comparison for p in pairs(*made)] == ["seeds", "shuffled model"]


def test_random_directions_are_a_null_too(asked, config):
    config["saes"]["directions"] = {"architecture": "random", "k": 4}
    made = asked(nulls={"saes": ["directions", "untrained"]})
    assert [p.comparison for p in pairs(*made)][1:] == ["random weights"] * 2
