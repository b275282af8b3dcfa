"""Probes of states: what they read, and which settings are theirs."""

import pytest

from dag.tree import CONFIG
from saeflow.errors import ConfigError
from saeflow.paths import ON_LABELLED
from saeflow.plan.plan import OF_A_MODEL

from .conftest import plan_of

HOOK = {"model": "small", "hook": "resid_post.1"}
ON = {"eval_dataset": "reviews", "eval_packing": ON_LABELLED}


@pytest.fixture
def probes(config, tmp_path):
    (tmp_path / "reviews.csv").write_text("text,label\n" + "good,1\nbad,0\n" * 9)
    config["labelled"] = {"reviews": {"path": "reviews.csv"}}

    def make(probing):
        config["measures"] = {**CONFIG["measures"], "probing": probing}
        plan = plan_of(config, "study.yaml")
        return plan, plan.measurement("dense_probes", **HOOK, **ON)

    return make


def test_states_of_the_hook_and_labelled_texts_are_read_in_one_pass_for_all_hooks(probes):
    plan, made = probes({})
    assert made.inputs == {
        "states": plan.measurement("states", **HOOK, **ON),
        "labelled": plan.labelled("reviews"),
    }
    assert made.place["hook"] == OF_A_MODEL


@pytest.mark.parametrize(
    "probing", [{"sizes": [4]}, {"seeds": [1]}, {"states": {"noise": []}}, {"standardise": False}]
)
def test_what_changes_their_training_sets_or_methods_makes_them_anew(probes, probing):
    assert probes(probing)[1].identity != probes({})[1].identity


def test_what_is_asked_of_codes_is_nothing_to_them(probes):
    assert probes({"codes": {"ks": [3]}})[1].identity == probes({})[1].identity


def test_without_probing_they_are_left_out(probes):
    with pytest.raises(ConfigError, match="measures > probing"):
        probes(None)
