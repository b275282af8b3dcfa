"""What is measured of two SAEs: what it reads, and where it lies."""

import pytest

from saeflow import paths
from saeflow.metrics.metric import Measure
from saeflow.metrics.registry import MEASURES
from saeflow.plan.find import find_defined
from saeflow.plan.plan import OF_A_MODEL

from .conftest import plan_of

ON = {"eval_dataset": "texts", "eval_packing": "ctx-64"}
SAE = {"model": "small", "dataset": "texts", "packing": "ctx-64", "hook": "resid_post.0"}


@pytest.fixture
def plan(config, monkeypatch):
    compute = "saeflow.measures.reconstruction:measure_reconstruction"
    made_up = Measure("facts", "Two SAEs.", compute, (), reads=("activations",), of="pair")
    monkeypatch.setitem(MEASURES, "facts", made_up._replace(together=True))
    return plan_of(config)


def pair(plan, **other):
    name = next(iter(plan.config["saes"]))
    first = {**SAE, "sae": name, "seed": 0}
    second = {paths.WITH[key]: value for key, value in {**first, **other}.items()}
    return plan.measurement("facts", **first, **second, **ON)


def test_what_both_saes_of_a_pair_share_is_read_once(plan):
    inputs = pair(plan, seed=1).inputs
    assert {*inputs} == {"sae", "other_sae", "activations"}
    assert inputs["sae"].settings["seed"] == 0 and inputs["other_sae"].settings["seed"] == 1


def test_a_pair_of_two_hooks_reads_the_activations_of_both(plan):
    inputs = pair(plan, hook="resid_post.1").inputs
    hooks = [inputs[name].settings["hook"] for name in ("activations", "other_activations")]
    assert hooks == ["resid_post.0", "resid_post.1"]


def test_all_pairs_of_a_model_are_measured_in_one_pass(plan):
    one, other = pair(plan, seed=1), pair(plan, hook="resid_post.1")
    assert one.place == other.place and one.apart == other.apart
    assert one.place["hook"] == OF_A_MODEL


def test_the_path_of_a_pair_leads_back_to_it(plan):
    made = pair(plan, seed=1)
    assert find_defined(plan, made.output) is made
    assert pair(plan, seed=2).output != made.output
