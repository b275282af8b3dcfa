"""What a configuration makes of the measure: one pass, and what is stale after a change."""

import copy

import pytest
import yaml

from saeflow.config.checks import resolve
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan

CONFIG = yaml.safe_load("""
models:
  small: {train: {dataset: texts, packing: p, tokenizer: words}}
tokenizers:
  words: {train: texts}
datasets:
  texts: {path: texts.txt}
packings:
  p: {context_length: 64}
saes:
  relu: {architecture: relu, l1: 0.1}
  topk: {architecture: topk, k: 4}
studies:
  reconstruction:
    models: [small]
    evaluate_on: {dataset: texts, packing: p}
    hooks: [resid_post.0, resid_post.1, resid_post.2]
    saes: [relu, topk]
""")


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Return a function that plans the study after a change of its configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")

    def plan(change=lambda config: None):
        config = copy.deepcopy(CONFIG)
        change(config)
        return Outputs(Plan(resolve(config)))

    return plan


def measured(outputs):
    (table,) = (outputs.table("reconstruction", name) for name in ["propagation"])
    return {(r.output.parts[-7], r.output.parts[-6]): r for r in table.inputs["propagation"]}


def identities(outputs):
    return {key: result.identity for key, result in measured(outputs).items()}


def changed(planned, change):
    before, after = identities(planned()), identities(planned(change))
    return {key for key in after if before.get(key) != after[key]}


def test_all_hooks_are_one_pass_and_the_last_has_nothing_after_it(planned):
    found = measured(planned())
    assert set(found) == {(f"resid_post.{b}", s) for b in (0, 1) for s in ("relu", "topk")}
    assert len({tuple(result.place.items()) for result in found.values()}) == 1
    assert len(found["resid_post.0", "relu"].inputs["others"]) == 4


def test_a_setting_makes_all_stale_and_an_sae_those_that_it_is_in(planned):
    everything = set(measured(planned()))

    def tokens(config):
        config["measures"] = {"propagation": {"tokens": 99}}

    def recipe(config):
        config["saes"]["relu"]["l1"] = 0.2

    def later(config):
        config["studies"]["reconstruction"]["hooks"].append("resid_post.3")

    assert changed(planned, tokens) == everything
    assert changed(planned, recipe) == everything  # the other recipe's SAEs read it too
    assert changed(planned, later) == everything | {("resid_post.2", s) for s in ("relu", "topk")}


def test_a_study_of_one_hook_has_none_of_its_tables_and_figures(planned):
    def one(config):
        config["studies"]["reconstruction"]["hooks"] = ["resid_post.1"]

    outputs = planned(one)
    names = {*outputs.tables("reconstruction"), *outputs.figures("reconstruction")}
    assert not [name for name in names if name.startswith("propagation")]


def test_the_measure_can_be_left_out(planned):
    def without(config):
        config["measures"] = {"propagation": None}

    assert "propagation" not in planned(without).tables("reconstruction")


def test_one_recipe_has_no_comparison_of_recipes(planned):
    def one(config):
        config["studies"]["reconstruction"]["saes"] = ["topk"]

    figures = planned(one).figures("reconstruction")
    assert "propagation_maps" in figures and "propagation_by_recipe" not in figures


def test_hooks_of_different_sites_have_no_maps(planned):
    def sites(config):
        config["studies"]["reconstruction"]["hooks"] = ["resid_post.0", "mlp_out.1"]

    figures = planned(sites).figures("reconstruction")
    assert "propagation_split" in figures and "propagation_maps" not in figures
