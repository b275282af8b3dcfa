"""What a configuration of the study may ask, and what it is told where it cannot be."""

import pytest

from saeflow.errors import ConfigError
from saeflow.studies.universality.comparisons import each_sae, pairs

SEEDS = {"vary": ["seed"], "seeds": [0, 1]}
OTHER = {"dataset": "others", "packing": "short"}
OWN = {"dataset": "texts", "packing": "short"}


COMPARISONS = [
    ({"vary": []}, "vary", "at least 1"),
    ({"vary": ["width"]}, "vary", "one of model, train_on, hook, sae, seed; got width"),
    ({"vary": ["seed"]}, "seeds: there is nothing to compare",
     "expected two at least, for it varies; got [0]"),
    ({"vary": ["seed", "hook"], "seeds": [0, 1]}, "hooks: there is nothing to compare",
     "got ['mlp_out.1']"),
    ({"vary": ["train_on"]}, "train_on: there is nothing to compare", "two at least"),
    ({**SEEDS, "train_on": [OWN, OTHER]}, "vary: SAEs are trained at several places",
     "expected train_on among them; got seed"),
    ({"vary": ["seed"], "seeds": [0, 0]}, "seeds", "each item once"),
    ({**SEEDS, "against": 2}, "against: there is no such value", "expected one of 0, 1; got 2"),
    ({"vary": ["sae"], "saes": ["relu", "topk"], "against": "relu"}, "against",
     "one of relu-x2, relu-x4, topk; got relu"),
    ({**SEEDS, "vary": ["seed", "sae"], "saes": ["relu"], "against": 0}, "against",
     "varies one of model, hook, sae, seed"),
    ({"vary": ["train_on"], "train_on": [OWN, OTHER], "against": "texts"}, "against",
     "varies one of model, hook, sae, seed"),
    ({"vary": ["model"], "models": ["small", "smal"]},
     "models: there is no 'smal' under models", "'small'"),
    ({"vary": ["model"], "models": ["small", "small@3"]}, "models", "no such checkpoint"),
    ({"vary": ["sae"], "saes": ["relu", "tpk"]}, "saes: there is no 'tpk' under saes", "'topk'"),
    ({"vary": ["train_on"], "train_on": [OWN, {**OWN, "packing": "x"}]},
     "train_on > packing: there is no 'x'", "short"),
    ({"vary": ["hook"], "hooks": ["mlp_out.1", "mlp_out.9"]}, "hooks", "has no hook 'mlp_out.9'"),
    ({"vary": ["model"], "models": ["small", "other"], "hooks": ["mlp_out.1", "mlp_out.3"]},
     "hooks: the model 'other' has no hook 'mlp_out.3'", "BLOCK from 0 to 1"),
    ({"vary": ["seed"], "seeds": [0, 1], "saes": ["theirs"]}, "seeds", "'theirs' is one"),
]  # fmt: skip
READ_OTHERS = "activations are compared token by token, and these models read different tokens"
BAD = [
    *(({"comparisons": {"c": one}}, f"comparisons > c > {at}", said)
      for one, at, said in COMPARISONS),
    ({"comparisons": {}}, "comparisons", "at least 1"),
    ({"comparisons": {"a b": SEEDS}}, "the name 'a b' cannot be part of a path", "letters"),
    ({"seeds": [0, 1], "comparisons": {"c": {"vary": ["seed"], "against": 3}}},
     "comparisons > c > against", "one of 0, 1; got 3"),
    ({"comparisons": {"c": {"vary": ["model"], "models": ["small", "foreign"]}}},
     f"comparisons > c: {READ_OTHERS}",
     "expected models with one tokenizer; got foreign with letters and small with words"),
    ({"nulls": {"hooks": ["mlp_out.9"]}}, "nulls > hooks", "has no hook 'mlp_out.9'"),
    ({"nulls": {"saes": ["rely"]}}, "nulls > saes: there is no 'rely' under saes", ""),
    ({"nulls": {"models": ["big"]}}, "nulls > models: there is no 'big' under models", "small"),
    ({"nulls": {"saes": ["relu"]}}, "nulls > saes: the weights of this SAE are not random",
     "tokens: 0, or architecture: random; got relu-x2"),
    ({"nulls": {"models": ["other"]}}, "nulls > models: the weights of this model mean something",
     "models with `shuffle`, or MODEL@0; got other"),
    ({"nulls": {"models": ["scrambled"]}}, "nulls: activations are compared token by token",
     "got scrambled with letters and small with words"),
    ({"nulls": {"seeds": [1]}}, "nulls", "seeds"),
    *(({key: [name]}, f"{key}: the study does not have this one among its `{among}`",
       f"some of: {there}; got {name}")
      for key, name, among, there in (
          ("language_saes", "topk", "saes", "relu-x2"),
          ("effect_saes", "topk", "saes", "relu-x2"),
          ("contexts_of", "widths", "comparisons", "seeds"),
          ("facts_of", "widths", "comparisons", "seeds"),
      )),
    ({"language_saes": ["none"]}, "language_saes: the study does not have", "got none"),
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
