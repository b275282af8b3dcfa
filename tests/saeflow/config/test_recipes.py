"""Presets and lists in recipes of SAEs."""

from __future__ import annotations

import pytest

from saeflow import registry
from saeflow.config.checks import resolve
from saeflow.config.presets import PRESETS
from saeflow.config.recipes import expand, target_hook, wants_coefficient
from saeflow.errors import ConfigError

NEEDED = {"relu": {"l1": 0.1}, "topk": {"k": 8}, "batchtopk": {"k": 8}, "matryoshka": {"k": 8},
          "gated": {"l1": 0.1}, "jumprelu": {"l0_coef": 0.1}, "p_anneal": {"l1": 0.1}}  # fmt: skip


def recipes(config, **saes):
    config["saes"] = {**config["saes"], **saes}
    return resolve(config, file="study.yaml")["saes"]


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_preset_is_a_recipe_that_trains(name, config):
    values = PRESETS[name].values
    needed = {k: v for k, v in NEEDED[values["architecture"]].items() if k not in values}
    found = recipes(config, mine={"preset": name, **needed})["mine"]
    assert "preset" not in found
    for key, value in values.items():
        assert found[key] == value, key
    module = registry.load("sae.architectures", found["architecture"])
    assert module.Recipe.read(found, where=name).plain() == found


def test_a_recipe_overrides_its_preset(config):
    found = recipes(config, mine={"preset": "suppression-post", "l1": 0.5})["mine"]
    assert (found["l1"], found["learning_rate"]) == (0.5, 1e-3)


def test_a_preset_written_out_is_the_same_recipe(config):
    by_hand = {**PRESETS["openai-topk"].values, "k": 4}
    found = recipes(config, mine={"preset": "openai-topk", "k": 4}, same=by_hand)
    assert found["mine"] == found["same"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"preset": "openai-topp", "k": 8}, "no preset 'openai-topp'.*Did you mean 'openai-topk'"),
        ({"preset": "openai-topk", "architecture": "relu", "k": 8}, "of another architecture"),
        ({"preset": "openai-topk"}, "the key 'k' is missing"),
        ({"architecture": "topk", "k": 8, "target": "mlp_out", "subtract_b_dec": True},
         "space of its target"),
        ({"architecture": "topk", "k": 8, "target": "mlp"}, "target"),
        ({"architecture": "pca", "components": 0}, "components"),
        ({"architecture": "relu", "l1": 1, "adam_beta1": 1.0}, "adam_beta1.*less than 1"),
        ({"architecture": "relu", "l1": 1, "penalties": {"ghosts": 1}}, "unknown key 'ghosts'"),
        ({"architecture": "relu", "l1": 1, "penalties": [{"decoder_cosine": 1}]},
         "only numbers, words and truth values"),
        *(({"architecture": "topk", "k": 8, "part": part}, "part: there is no such part")
          for part in ("3/2", "0/2", "1/1", "1", "half", "1/2/3", "-1/2", "1/ 2")),
        ({"architecture": "pca", "part": "3/2"}, "there is no such part"),
        ({"architecture": "identity", "part": "1/2"}, "unknown key 'part'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(entry, message, config):
    with pytest.raises(ConfigError, match=message):
        recipes(config, mine=entry)


def test_lists_make_every_combination_with_a_name_of_its_own(config):
    entry = {"architecture": "topk", "k": [8, 16], "expansion": [4, 2.5], "center": "mean"}
    found = recipes(config, grid=entry)
    names = ["grid-k8-x4", "grid-k8-x2.5", "grid-k16-x4", "grid-k16-x2.5"]
    assert list(found) == ["relu", "topk", *names]
    assert (found["grid-k16-x2.5"]["k"], found["grid-k16-x2.5"]["expansion"]) == (16, 2.5)
    assert "grid" not in found and found["grid-k8-x4"]["center"] == "mean"


def test_other_keys_are_named_in_full_and_numbers_shortly(config):
    entry = {"architecture": "relu", "l1": [0.03, 1e-5], "learning_rate": [1e-3],
             "subtract_b_dec": [True, False]}  # fmt: skip
    found = recipes(config, r=entry)
    assert "r-l1-0.03-lr0.001-subtract_b_dec-true" in found
    assert "r-l1-1e-05-lr0.001-subtract_b_dec-false" in found


def test_parts_have_names_that_can_be_part_of_a_path(config):
    found = recipes(config, r={"architecture": "pca", "part": ["1/2", "2/2"]})
    assert [found[f"r-part{i}of2"]["part"] for i in (1, 2)] == ["1/2", "2/2"]
    assert "part" not in found["topk"]


def test_a_study_that_names_a_sweep_means_all_of_it(config):
    config["saes"]["grid"] = {"architecture": "topk", "k": [8, 16]}
    config["studies"]["suppression"].update(saes=["relu", "grid"], tune=["grid"])
    study = resolve(config)["studies"]["suppression"]
    assert study["saes"] == ["relu", "grid-k8", "grid-k16"]
    assert study["tune"] == ["grid-k8", "grid-k16"]
    config["studies"]["suppression"].update(saes=["relu", "grid-k16"], tune=None)
    assert resolve(config)["studies"]["suppression"]["saes"] == ["relu", "grid-k16"]


def test_a_key_whose_value_is_a_list_is_swept_by_lists_of_lists(config):
    halves, thirds = [0.5, 0.5], [0.25, 0.75]
    one = {"architecture": "matryoshka", "k": 8, "group_fractions": halves}
    assert recipes(config, m=one)["m"]["group_fractions"] == halves
    with pytest.raises(ConfigError, match="group_fractions.*only numbers"):
        recipes(config, m={**one, "group_fractions": [halves, thirds]})


def test_a_swept_recipe_is_the_recipe_written_out(config):
    found = recipes(config, grid={"architecture": "topk", "k": [8]},
                    one={"architecture": "topk", "k": 8})  # fmt: skip
    assert found["grid-k8"] == found["one"]


@pytest.mark.parametrize("case", [0, 1, 2])
def test_two_recipes_of_one_name_are_refused(case, config):
    grid = {"architecture": "topk", "k": [8]}
    saes = [
        {"grid": grid, "grid-k8": grid},
        {"grid-k8": {**grid, "k": 1}, "grid": grid},
        {"grid": {**grid, "k": [8, 8]}},
    ][case]
    with pytest.raises(ConfigError, match="two recipes have one name"):
        recipes(config, **saes)


def test_the_configuration_that_was_read_is_left_as_it_is(config):
    config["saes"]["grid"] = {"architecture": "topk", "k": [8, 16]}
    before = repr(config)
    expand(config, file="study.yaml")
    assert repr(config) == before


def test_a_target_is_a_site_of_the_same_block_or_a_hook():
    assert target_hook("resid_mid.3", "mlp_out") == "mlp_out.3"
    assert target_hook("resid_mid.3", "resid_post.5") == "resid_post.5"


def test_a_transcoder_does_not_subtract_by_default(config):
    entry = {"architecture": "topk", "k": 8, "target": "mlp_out"}
    assert recipes(config, mine=entry)["mine"]["subtract_b_dec"] is False


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"hooks": ["mlp_out.1"]}, "would predict what it reads"),
        ({"methods": ["scale"], "tune": ["tc"]}, "only autoencoders are fine-tuned"),
        ({"hooks": ["resid_pre.9"], "methods": []}, "has no hook"),
    ],
)
def test_a_transcoder_has_another_hook_to_predict_and_is_not_tuned(study, message, config):
    config["saes"]["tc"] = {"architecture": "topk", "k": 8, "target": "mlp_out"}
    config["studies"]["suppression"].update(saes=["tc"], methods=[])
    config["studies"]["suppression"].update(study)
    with pytest.raises(ConfigError, match=message):
        resolve(config)


def test_an_sae_that_normalises_its_inputs_is_not_tuned(config):
    config["saes"]["normal"] = {"architecture": "relu", "l1": 1, "normalize_input": "layer_norm"}
    config["studies"]["suppression"].update(saes=["normal"], methods=["scale"], tune=None)
    with pytest.raises(ConfigError, match="'normal' normalises its inputs row by row"):
        resolve(config)
    config["studies"]["suppression"].update(methods=[])
    assert resolve(config)["saes"]["normal"]["normalize_input"] == "layer_norm"


def test_the_wished_l0_takes_the_place_of_a_presets_weight(config):
    found = recipes(config, mine={"preset": "anthropic-april-2024", "target_l0": [8, 32]})
    assert {found[f"mine-target_l0-{wish}"]["target_l0"] for wish in (8, 32)} == {8, 32}
    assert "l1" not in found["mine-target_l0-8"]
    assert found["mine-target_l0-8"]["l1_warmup_tokens"] is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"architecture": "relu"}, "by l1 or by target_l0, and here by neither"),
        ({"architecture": "gated", "l1": 1, "target_l0": 8}, "by target_l0, and here by both"),
        ({"preset": "suppression-post", "target_l0": 8, "l1": 1}, "and here by both"),
        ({"architecture": "jumprelu"}, "by l0_coef or by target_l0, and here by neither"),
        ({"architecture": "topk", "k": 8, "target_l0": 8}, "is its k.*Set k"),
        ({"architecture": "p_anneal", "target_l0": 0}, "target_l0.*more than 0"),
        ({"architecture": "relu", "target_l0": 8, "tokens": 0}, "is not trained.*Set l1: 0"),
    ],
)
def test_one_penalty_is_given_in_one_way(config, entry, message):
    with pytest.raises(ConfigError, match=message):
        recipes(config, mine=entry)


def test_a_weight_that_is_to_be_found_is_told_from_one_that_is_given():
    assert wants_coefficient({"target_l0": 8}) and wants_coefficient({"target_l0": 8, "l1": None})
    assert not wants_coefficient({"target_l0": 8, "l0_coef": 0.1})
    assert not wants_coefficient({"target_l0": None, "l1": 0.1})
    assert not wants_coefficient({"k": 8})
