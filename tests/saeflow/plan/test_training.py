"""Jobs that train: transcoders, baselines, and the modules that they load by name."""

from __future__ import annotations

from .conftest import plan_of

PLACE = {"model": "small", "dataset": "texts", "packing": "ctx-64", "hook": "resid_post.1"}
ON = {"eval_dataset": "texts", "eval_packing": "ctx-64"}


def job(config, recipe, **settings):
    config["saes"]["mine"] = {"architecture": "topk", "k": 8, **settings, **recipe}
    return plan_of(config).sae(**PLACE, sae="mine", seed=0)


def test_a_transcoder_reads_a_second_store_in_the_pass_of_its_hook(config):
    found = job(config, {"target": "mlp_out"})
    plan = plan_of(config)
    mlp = plan.activations(**{**PLACE, "hook": "mlp_out.1"})
    assert found.inputs["target"].output == mlp.output
    assert found.settings["target"] == "mlp_out.1"
    plain = job(config, {})
    assert "target" not in plain.inputs and plain.place == found.place
    assert plain.identity != found.identity


def test_a_transcoder_is_measured_against_its_target_on_the_same_texts(config):
    config["saes"]["mine"] = {"architecture": "topk", "k": 8, "target": "mlp_out.2"}
    plan = plan_of(config)
    for measure in ("reconstruction", "language", "probes"):
        found = plan.measurement(measure, **PLACE, sae="mine", seed=0, **ON)
        assert found.inputs["target"].output.name == "mlp_out.2.json"
        assert str(found.inputs["target"].output) in found.apart
        other = plan.measurement(measure, **PLACE, sae="topk", seed=0, **ON)
        assert "target" not in other.inputs


def test_a_baseline_is_of_the_architecture_that_computes_it(config):
    config["saes"]["mine"] = {"architecture": "pca", "components": 3}
    plan = plan_of(config)
    found = plan.sae(**PLACE, sae="mine", seed=0)
    assert found.settings == {"architecture": "pca", "components": 3, "seed": 0}
    roots = ("saeflow.sae.architectures.relu", "saeflow.sae.training.baseline:pca")
    assert found.code_roots == roots
    assert found.place == plan.sae(**PLACE, sae="topk", seed=0).place
    measured = plan.measurement("reconstruction", **PLACE, sae="mine", seed=0, **ON)
    assert "saeflow.sae.architectures.relu" in measured.code_roots


def test_what_a_recipe_does_not_use_is_not_in_its_code(config):
    names = "saeflow.sae.penalties.", "saeflow.sae.training."
    assert not any(m.startswith(names) for m in job(config, {}).code_roots)
    with_both = job(config, {"penalties": {"ghost_gradients": 1}, "resample_tokens": 1000})
    assert "saeflow.sae.penalties.ghost_gradients" in with_both.code_roots
    assert "saeflow.sae.penalties.decoder_cosine" not in with_both.code_roots
    assert "saeflow.sae.training.resample" in with_both.code_roots


def test_a_preset_leaves_no_trace_in_an_identity(config):
    values = {"expansion": 4, "learning_rate": 1e-3, "error": "mean", "subtract_b_dec": False}
    config["saes"]["a"] = {"preset": "suppression-post"}
    config["saes"]["b"] = {"architecture": "relu", "l1": 2e-3, **values}
    plan = plan_of(config)
    first, second = (plan.sae(**PLACE, sae=name, seed=0) for name in ("a", "b"))
    assert first.identity == second.identity
