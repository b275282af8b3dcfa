"""Measurements by probes: what is in their settings, and where the rows to fit to come from."""

import pytest

from saeflow.errors import ConfigError
from saeflow.plan.outputs import Outputs

from .conftest import plan_of

PLACE = {"model": "small", "dataset": "texts", "packing": "ctx-64", "hook": "resid_post.1"}
ON = {"eval_dataset": "texts", "eval_packing": "ctx-64"}
OTHER = {"eval_dataset": "others", "eval_packing": "long"}


@pytest.fixture
def config(config):
    config["datasets"]["others"] = {
        "path": "texts.txt",
        "splits": {"train": 0, "validation": 0, "test": 1},
    }
    config["packings"]["long"] = {"context_length": 128}
    config["saes"]["mine"] = {"architecture": "topk", "k": 8, "target": "mlp_out.2"}
    return config


@pytest.mark.parametrize(("measures", "asked"), [({}, False), ({"probes": {}}, True)])
def test_probes_are_measured_where_they_are_asked_for(config, measures, asked):
    """What is measured by default is what the documentation says is: no job is unasked."""
    config["measures"] = measures
    wanted = Outputs(plan_of(config)).wanted
    made = {one.settings["measure"] for one in wanted if one.rule == "measure"}
    assert made == {"reconstruction", "clean", "language"} | ({"probes"} if asked else set())
    tables = {one.output.stem for one in wanted if one.rule == "tabulate"}
    assert bool(tables & {"probes", "probe_change"}) == asked


def test_settings_are_those_of_probes(config):
    one = plan_of(config).measurement("probes", **PLACE, **ON, sae="relu", seed=0)
    assert one.settings == {"measure": "probes", "classes": 16, "rows": 10000}
    assert one.output.name == "probes.json" and one.rule == "measure"


def test_what_probes_are_asked_is_in_no_other_measure(config):
    sae = {**PLACE, **ON, "sae": "relu", "seed": 0}
    before = plan_of(config)
    config["measures"] = {"probes": {"rows": 500}}
    after = plan_of(config)
    for measure in ("reconstruction", "language"):
        assert (
            before.measurement(measure, **sae).identity
            == after.measurement(measure, **sae).identity
        )
    assert (
        before.measurement("probes", **sae).identity != after.measurement("probes", **sae).identity
    )


def test_probes_are_fitted_where_they_are_asked_if_there_is_a_training_split(config):
    one = plan_of(config).measurement("probes", **PLACE, **ON, sae="relu", seed=0)
    assert set(one.inputs) == {"sae", "activations"}


@pytest.mark.parametrize("limit", [False, True])
def test_without_a_training_split_the_rows_are_those_that_trained_the_sae(config, limit):
    if limit:  # the same where the packing takes none of it
        del config["datasets"]["others"]["splits"]
        config["packings"]["long"]["tokens"] = {"train": 0}
    plan = plan_of(config)
    one = plan.measurement("probes", **PLACE, **OTHER, sae="relu", seed=0)
    assert one.inputs["fitted"] is plan.activations(**PLACE)
    assert one.inputs["activations"] is not one.inputs["fitted"]
    assert str(one.inputs["fitted"].output) in one.apart
    assert (
        "fitted"
        not in plan.measurement("reconstruction", **PLACE, **OTHER, sae="relu", seed=0).inputs
    )


def test_a_transcoder_has_its_target_in_both_places(config):
    plan = plan_of(config)
    one = plan.measurement("probes", **PLACE, **OTHER, sae="mine", seed=0)
    assert one.inputs["target"].output.name == "mlp_out.2.json"
    assert one.inputs["fitted_target"] is plan.activations(**{**PLACE, "hook": "mlp_out.2"})
    assert str(one.inputs["target"].output) in one.apart


def test_null_leaves_probes_out_of_tables_figures_and_ones(config):
    shown = {one.output.stem for one in tables_and_figures(config)}
    assert {"probes", "probe_change", "probe_change_by_method"} <= shown
    config["measures"] = {"probes": None}
    found = tables_and_figures(config)
    assert not {"probes", "probe_change", "probe_change_by_method"} & {j.output.stem for j in found}
    outputs = Outputs(plan_of(config))
    assert "probes" not in {one.settings.get("measure") for one in outputs.wanted}
    with pytest.raises(ConfigError, match="leaves out the measure 'probes'"):
        outputs.plan.measurement("probes", **PLACE, **ON, sae="relu", seed=0)


def test_without_fine_tuning_there_is_no_change_to_show(config):
    config["studies"]["suppression"]["methods"] = []
    shown = {one.output.stem for one in tables_and_figures(config)}
    assert "probes" in shown and not {"probe_change", "probe_change_by_method"} & shown


def tables_and_figures(config):
    outputs = Outputs(plan_of(config))
    return [*outputs.tables("suppression").values(), *outputs.figures("suppression").values()]
