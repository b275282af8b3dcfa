"""Which SAEs are trained on shuffled models, and what of it is asked for in a configuration."""

import pytest

from saeflow.errors import ConfigError
from saeflow.studies.shuffled import on_shuffled_models
from saeflow.studies.study import ON

CONTROLS = {"control_models": ["noise"], "control_saes": ["topk"], "control_hooks": ["resid_pre.1"]}


def test_named_recipes_are_held_against_themselves_on_the_real_model(resolved):
    rows = list(on_shuffled_models(*resolved(**CONTROLS)))
    found = [(row["model"], row["hook"], row["sae"], row["seed"]) for row in rows]
    assert found == [
        (model, "resid_pre.1", "topk", seed) for model in ("small", "noise") for seed in (0, 1)
    ]
    everywhere = on_shuffled_models(*resolved(**{**CONTROLS, "control_hooks": None}))
    assert len(list(everywhere)) == 3 * len(rows)


def test_controls_can_be_trained_and_measured_on_fewer_tokens(resolved):
    place = {"dataset": "texts", "packing": "short"}
    rows = list(on_shuffled_models(*resolved(**CONTROLS, control_on=place)))
    assert {(row["model"], row["packing"], row[ON]["packing"]) for row in rows} == {
        ("small", "short", "short"),
        ("noise", "short", "short"),
    }
    with pytest.raises(ConfigError, match="control_on > packing"):
        resolved(**CONTROLS, control_on={"dataset": "texts", "packing": "shorter"})


def test_a_sweep_among_the_controls_stands_for_its_recipes(resolved):
    _, section = resolved(**{**CONTROLS, "control_saes": ["relu"]})
    assert section["control_saes"] == ["relu-l1-0.1", "relu-l1-0.2"]


def test_only_the_table_of_controls_reads_the_shuffled_model(outputs):
    made = outputs(**CONTROLS)
    of_noise = {
        name: {str(one.output) for kind in table.inputs.values() for one in kind}
        for name, table in made.tables("reconstruction").items()
    }
    of_noise = {
        name: {path for path in paths if "/noise/" in path} for name, paths in of_noise.items()
    }
    at = "results/saes/noise/texts/long/resid_pre.1/topk"
    assert of_noise.pop("shuffled_model") == {
        f"{at}/seed-{seed}/on/texts/long/reconstruction.json" for seed in (0, 1)
    }
    assert not any(of_noise.values())
    options = made.table("reconstruction", "shuffled_model").settings["options"]
    assert options == {"shuffled": {"noise": "small"}}
    assert "shuffled_by_layer" in made.figures("reconstruction")


def test_nothing_is_made_of_controls_that_nobody_asks_for(outputs):
    made = outputs()
    asked = {*made.tables("reconstruction"), *made.figures("reconstruction")}
    assert not asked & {"shuffled_model", "shuffled_by_layer"}
    assert not asked & {"smaller_models", "smaller_models_by_layer"}
    assert {"controls", "controls_by_layer"} <= asked


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control_models": ["small"]}, "control_models: a control is to be.*not shuffled"),
        ({"control_models": ["x"]}, "there is no 'x' under models"),
        ({"control_models": []}, "controls need both models and SAEs"),
        ({"control_saes": []}, "controls need both models and SAEs"),
        ({"control_saes": ["relu-x"]}, "control_saes: what is held against.*relu-l1-0.1"),
        ({"control_hooks": ["resid_pre.2"]}, "control_hooks: what is held.*got resid_pre.2"),
    ],
)
def test_controls_that_nothing_is_held_against_are_refused(resolved, change, message):
    with pytest.raises(ConfigError, match=message):
        resolved(**{**CONTROLS, **change})
