"""The jobs that ask probes: what is in their settings, and where the rows to fit to come from."""

import copy

import pytest

from dag.tree import CONFIG
from saeflow.config.checks import resolve
from saeflow.errors import ConfigError
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import MEASURES, Plan

PLACE = {"model": "small", "dataset": "texts", "packing": "ctx-64", "hook": "resid_post.1"}
ON = {"eval_dataset": "texts", "eval_packing": "ctx-64"}
OTHER = {"eval_dataset": "others", "eval_packing": "long"}


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("one two\n")
    config = copy.deepcopy(CONFIG)
    config["datasets"]["others"] = {
        "path": "texts.txt",
        "splits": {"train": 0, "validation": 0, "test": 1},
    }
    config["packings"]["long"] = {"context_length": 128}
    config["saes"]["mine"] = {"architecture": "topk", "k": 8, "target": "mlp_out.2"}
    return config


def plan_of(config):
    return Plan(resolve(config))


def test_settings_are_those_of_probes_and_of_intervals(config):
    job = plan_of(config).probes(**PLACE, **ON, sae="relu", seed=0)
    assert job.settings == {
        "bootstrap": 1000, "seed": 0, "classes": 16, "rows": 10000,
        "metrics": list(MEASURES["probes"]),
    }  # fmt: skip
    assert job.output.name == "probes.json" and job.rule == "measure_probes"
    assert "saeflow.metrics.formulas.probe_loss_sae" in job.modules


def test_what_probes_are_asked_is_in_no_other_measure(config):
    sae = {**PLACE, **ON, "sae": "relu", "seed": 0}
    before = plan_of(config)
    config["measures"] = {"probes": {"rows": 500}}
    after = plan_of(config)
    for measure in ("reconstruction", "language"):
        assert before.measure(measure, **sae).identity == after.measure(measure, **sae).identity
    assert before.probes(**sae).identity != after.probes(**sae).identity
    places = {"model": "small", "dataset": "texts", "packing": "ctx-64"}
    assert before.benchmarks(**places).identity == after.benchmarks(**places).identity


def test_probes_are_fitted_where_they_are_asked_if_there_is_a_training_split(config):
    job = plan_of(config).probes(**PLACE, **ON, sae="relu", seed=0)
    assert set(job.inputs) == {"sae", "activations"}


@pytest.mark.parametrize("limit", [False, True])
def test_without_a_training_split_the_rows_are_those_that_trained_the_sae(config, limit):
    if limit:  # the same where the packing takes none of it
        del config["datasets"]["others"]["splits"]
        config["packings"]["long"]["tokens"] = {"train": 0}
    plan = plan_of(config)
    job = plan.probes(**PLACE, **OTHER, sae="relu", seed=0)
    assert job.inputs["fitted"] is plan.activations(**PLACE)
    assert job.inputs["activations"] is not job.inputs["fitted"]
    assert job.shared_pass == (
        "probes", "small", "resid_post.1", "others", "long", "texts", "ctx-64",
    )  # fmt: skip
    assert "fitted" not in plan.reconstruction(**PLACE, **OTHER, sae="relu", seed=0).inputs


def test_a_transcoder_has_its_target_in_both_places(config):
    plan = plan_of(config)
    job = plan.probes(**PLACE, **OTHER, sae="mine", seed=0)
    assert job.inputs["target"].output.name == "mlp_out.2.json"
    assert job.inputs["fitted_target"] is plan.activations(**{**PLACE, "hook": "mlp_out.2"})
    assert job.shared_pass[-1] == "mlp_out.2"


def test_null_leaves_probes_out_of_tables_figures_and_jobs(config):
    shown = {job.output.stem for job in tables_and_figures(config)}
    assert {"probes", "probe_change", "probe_change_by_method"} <= shown
    config["measures"] = {"probes": None}
    found = tables_and_figures(config)
    assert not {"probes", "probe_change", "probe_change_by_method"} & {j.output.stem for j in found}
    outputs = Outputs(plan_of(config))
    assert "measure_probes" not in {job.rule for job in outputs.wanted()}
    with pytest.raises(ConfigError, match="measures no probes"):
        outputs.plan.probes(**PLACE, **ON, sae="relu", seed=0)


def test_without_fine_tuning_there_is_no_change_to_show(config):
    config["studies"]["suppression"]["methods"] = []
    shown = {job.output.stem for job in tables_and_figures(config)}
    assert "probes" in shown and not {"probe_change", "probe_change_by_method"} & shown


def tables_and_figures(config):
    outputs = Outputs(plan_of(config))
    return [*outputs.tables("suppression"), *outputs.figures("suppression")]
