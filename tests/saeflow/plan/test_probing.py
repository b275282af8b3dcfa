"""Probes of states: what they read, and which settings are theirs."""

import copy

import pytest

from dag.tree import CONFIG
from saeflow.config.checks import resolve
from saeflow.errors import ConfigError
from saeflow.paths import ON_LABELLED
from saeflow.plan.plan import OF_A_MODEL, Plan

HOOK = {"model": "small", "hook": "resid_post.1"}
ON = {"eval_dataset": "reviews", "eval_packing": ON_LABELLED}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")
    (tmp_path / "reviews.csv").write_text("text,label\n" + "good,1\nbad,0\n" * 9)


def probes(**probing):
    config = copy.deepcopy(CONFIG)
    config["labelled"] = {"reviews": {"path": "reviews.csv"}}
    config.setdefault("measures", {})["probing"] = probing or {}
    plan = Plan(resolve(config, file="study.yaml"), file="study.yaml")
    return plan, plan.measurement("dense_probes", **HOOK, **ON)


def test_states_of_the_hook_and_labelled_texts_are_read_in_one_pass_for_all_hooks():
    plan, made = probes()
    assert made.inputs == {
        "states": plan.measurement("states", **HOOK, **ON),
        "labelled": plan.labelled("reviews"),
    }
    assert made.place["hook"] == OF_A_MODEL


@pytest.mark.parametrize(
    "probing", [{"sizes": [4]}, {"seeds": [1]}, {"states": {"noise": []}}, {"standardise": False}]
)
def test_what_changes_their_training_sets_or_methods_makes_them_anew(probing):
    assert probes(**probing)[1].identity != probes()[1].identity


def test_what_is_asked_of_codes_is_nothing_to_them():
    assert probes(codes={"ks": [3]})[1].identity == probes()[1].identity


def test_without_probing_they_are_left_out():
    config = copy.deepcopy(CONFIG)
    config["labelled"] = {"reviews": {"path": "reviews.csv"}}
    config.setdefault("measures", {})["probing"] = None
    plan = Plan(resolve(config, file="study.yaml"), file="study.yaml")
    with pytest.raises(ConfigError, match="measures > probing"):
        plan.measurement("dense_probes", **HOOK, **ON)
