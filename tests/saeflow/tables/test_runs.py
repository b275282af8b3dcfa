from pathlib import Path

import numpy as np
import pytest

import made_up_study
from saeflow import paths
from saeflow.errors import DamagedError
from saeflow.files import read_json, write_json
from saeflow.metrics.intervals import form, totals_and_draws
from saeflow.metrics.registry import METRICS
from saeflow.tables.runs import ORIGINAL, Key, Record, Run, read_runs
from saeflow.work import hold

PLACE = dict(model="m@12", dataset="d", packing="p-64", hook="resid_post.1", seed=3)
ON = dict(eval_dataset="e", eval_packing="q")


def test_the_key_of_a_path_is_what_the_path_was_made_of():
    for sae, recipe, method in (("a", "a", ORIGINAL), ("a-4x~decoder", "a-4x", "decoder")):
        path = paths.fill(paths.MEASUREMENT, sae=sae, measure="probes", **PLACE, **ON)
        assert Key.of_path(path) == Key(sae=recipe, method=method, **PLACE, **ON)
        path = paths.fill(paths.SAE, sae=sae, **PLACE)
        assert Key.of_path(Path("/elsewhere") / path) == Key(sae=recipe, method=method, **PLACE)


def test_the_key_of_a_model_has_no_sae():
    path = paths.fill(paths.MEASUREMENT_OF_MODEL, model="m@12", measure="benchmarks", **ON)
    assert Key.of_model(path) == Key("m@12", **ON)


def test_the_key_of_a_hook_has_no_sae():
    of = {"model": "m@12", "hook": "mlp_out.2"}
    path = paths.fill(paths.MEASUREMENT_OF_HOOK, **of, measure="clean", **ON)
    assert Key.of_hook(path) == Key(**of, **ON)


def test_the_key_of_a_pair_has_both_saes():
    other = {**PLACE, "model": "m@12", "hook": "mlp_out.3", "seed": 4}
    second = {paths.WITH[name]: value for name, value in {**other, "sae": "b~scale"}.items()}
    of = {**PLACE, **second, **ON}
    path = paths.fill(paths.MEASUREMENT_OF_PAIR, sae="a", measure="similarity", **of)
    found = Key.of_pair(path)
    assert found.other == (Key(sae="b", method="scale", **other),)
    assert found.training == Key(sae="a", **PLACE) and found.on == tuple(ON.values())
    assert str(found).count(" and ") == 1


def test_the_parent_differs_in_the_method_only():
    key = Key(sae="a", method="scale", **PLACE, **ON)
    assert key.parent == Key(sae="a", method=ORIGINAL, **PLACE, **ON) == key.parent.parent


def test_runs_are_in_the_order_of_the_model_and_of_numbers_in_names():
    keys = [
        Key(**{**PLACE, "hook": hook}, sae=sae, method=method)
        for hook in ("resid_post.10", "resid_post.9", "mlp_out.10")
        for sae, method in (("topk-32", ORIGINAL), ("topk-8", "scale"), ("topk-8", ORIGINAL))
    ]
    ordered = sorted(keys, key=Key.order)
    assert list(dict.fromkeys(k.hook for k in ordered)) == [
        "resid_post.9", "mlp_out.10", "resid_post.10",
    ]  # fmt: skip
    assert [(k.sae, k.method) for k in ordered[:3]] == [
        ("topk-8", ORIGINAL), ("topk-8", "scale"), ("topk-32", ORIGINAL),
    ]  # fmt: skip


def test_the_numbers_of_a_sweep_are_in_their_order():
    names = ["relu-l1-0.03", "relu-l1-0.1", "relu-l1-1e-05", "relu-l1-0.004", "relu-l1-2"]
    keys = [Key(**PLACE, sae=name) for name in names]
    assert [key.sae for key in sorted(keys, key=Key.order)] == [
        "relu-l1-1e-05", "relu-l1-0.004", "relu-l1-0.03", "relu-l1-0.1", "relu-l1-2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "architecture", "baseline"),
    [
        ({"architecture": "relu", "training": {"tokens": 10}}, "relu", ""),
        ({"architecture": "relu"}, "relu", ""),  # from elsewhere
        ({"architecture": "relu", "training": {"tokens": 0}, "baseline": "pca"}, "pca", "pca"),
        ({"architecture": "topk", "training": {"tokens": 0}}, "topk, untrained", "topk, untrained"),
    ],
)
def test_a_baseline_is_no_sae_of_the_architecture_that_encodes_it(facts, architecture, baseline):
    run = Run(Key(**PLACE, sae="a"), {"sae": Record(facts, {}.__getitem__)})
    assert (run.architecture, run.baseline) == (architecture, baseline)
    assert Run(run.key, {}).baseline == ""  # the SAE was not read


def trained(root):
    path = root / paths.fill(paths.SAE, **PLACE, sae="a")
    with hold(path, "0" * 64) as work:
        (work.path / "log.csv").write_text("step,tokens,loss\n1,100,0.5\n")
        work.finish({"d_in": 5})
    return path


def measured(root, measure, counts, **sums):
    path = root / paths.fill(paths.MEASUREMENT, measure=measure, **PLACE, **ON, sae="a")
    documents = {"document": [0, 1], counts: [4.0, 6.0], **sums}
    facts = {"n_tokens": 10, "n_documents": 2, "d_in": 5}
    latents = {"fired": [0, 3, 0, 1]}
    return made_up_study.publish(path, facts, documents=documents, latents=latents)


def test_measurements_of_one_sae_and_the_sae_itself_make_one_run(tmp_path):
    kinds = {
        "reconstruction": [measured(tmp_path, "reconstruction", "tokens", active=[8.0, 18.0])],
        "language": [measured(tmp_path, "language", "predictions", kl=[1.0, 2.0])],
        "sae": [trained(tmp_path)],
    }
    (run,) = read_runs(**kinds)
    assert run.key == Key(sae="a", **PLACE, **ON)
    assert run.extent() == {"n_tokens": 10, "n_documents": 2}
    assert run.log()["loss"].tolist() == [0.5] and run.sae["d_in"] == 5
    assert run.documents("language")["predictions"].tolist() == [4, 6]
    found = run.estimates(["l0", "kl", "dead"])
    assert {name: estimate.value for name, estimate in found.items()} == {
        "l0": 2.6, "kl": 0.3, "dead": 0.5,
    }  # fmt: skip
    (alone,) = read_runs(sae=kinds["sae"])
    assert alone.key.eval_dataset == "" and alone.log()["tokens"].tolist() == [100]


def test_bulk_whose_record_names_another_result_is_read_by_its_manifest(tmp_path):
    """Two configurations mean different things by one name; each reads what it was planned with."""
    path = measured(tmp_path, "reconstruction", "tokens", active=[8.0, 18.0])
    manifest = path.parent / read_json(path)["bulk"] / "manifest.json"
    path.unlink()
    (run,) = read_runs(reconstruction=[manifest])
    assert run.key == Key(sae="a", **PLACE, **ON) and run.estimates(["l0"])["l0"].value == 2.6


def test_what_is_known_already_is_read_once(tmp_path):
    path = measured(tmp_path, "reconstruction", "tokens", active=[1.0, 2.0])
    shared = {}
    runs = [read_runs(shared=shared, reconstruction=[path]) for _ in range(2)]
    first, second = (run.documents("reconstruction") for (run,) in runs)
    assert first is second


def test_the_width_is_known_to_formulas():
    run = made_up_study.runs(n_blocks=1)[0]
    sums = run.documents("reconstruction").sum()
    mse = run.estimates(["mse"])["mse"].value
    assert mse == pytest.approx(sums["squared_error"] / sums["tokens"] / made_up_study.D_IN)


@pytest.mark.parametrize("name", ["l0", "fvu", "delta_ce"])
def test_intervals_are_those_of_resampled_documents(name):
    run = made_up_study.runs(n_blocks=1)[0]
    table = run.documents("language" if name == "delta_ce" else "reconstruction")
    columns = {c: table[c].to_numpy() for c in table if c != "document"}
    alone = form(METRICS[name].formula, *totals_and_draws(columns, 100, 3))
    found = run.estimates([name], bootstrap=100, seed=3)[name]
    np.testing.assert_allclose(found, alone)
    assert found.low < found.value < found.high
    assert run.estimates([name])[name] == (found.value, None, None)


def test_something_else_than_a_record_is_refused(tmp_path):
    path = tmp_path / paths.fill(paths.SAE, **PLACE, sae="a")
    write_json(path, [1])
    with pytest.raises(DamagedError, match="not a record"):
        read_runs(sae=[path])
