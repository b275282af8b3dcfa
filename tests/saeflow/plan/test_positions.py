"""Measurements by position: what they read, of SAEs of short contexts and of long ones."""

import pytest

from saeflow.plan.outputs import Outputs

from .conftest import plan_of


@pytest.fixture
def config(config):
    config["datasets"]["others"] = {"path": "texts.txt"}
    config["packings"]["ctx-16"] = {"context_length": 16}
    config["studies"] = {
        "reconstruction": {
            "models": ["small"], "evaluate_on": {"dataset": "texts", "packing": "ctx-64"},
            "hooks": ["resid_post.1"], "saes": ["topk"],
            "context_on": {"dataset": "texts", "packing": "ctx-16"}, "context_saes": ["topk"],
        }
    }  # fmt: skip
    return config


def measured(config):
    wanted = Outputs(plan_of(config)).wanted
    made = [one for one in wanted if one.settings.get("measure") == "positions"]
    return {one.inputs["sae"].inputs["activations"].place["packing"]: one for one in made}


def test_saes_of_both_contexts_are_measured_on_the_long_one_with_the_tokens_of_their_training(
    config,
):
    found = measured(config)
    assert set(found) == {"ctx-16", "ctx-64"}
    for packing, one in found.items():
        assert one.inputs["tokens"].place["packing"] == "ctx-64"
        assert one.inputs["trained_on"].place["packing"] == packing
        assert one.settings == {"measure": "positions", "tokens": None, "seen": True}
    # one pass: all that they are measured on is the same
    assert found["ctx-16"].apart == found["ctx-64"].apart
    assert found["ctx-16"].inputs["clean"] is found["ctx-64"].inputs["clean"]


def test_of_another_dataset_no_document_is_said_to_be_seen(config):
    config["studies"]["reconstruction"]["context_on"]["dataset"] = "others"
    found = measured(config)
    assert "trained_on" not in found["ctx-16"].inputs and "trained_on" in found["ctx-64"].inputs


def test_they_can_be_left_out_with_their_tables(config):
    config["measures"] = {"positions": None}
    assert not measured(config)
    tables = {one.output.stem for one in Outputs(plan_of(config)).wanted}
    assert not tables & {"context", "context_positions", "context_exact"}
