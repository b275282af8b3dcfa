from pathlib import Path

import pytest

from saeflow import paths
from saeflow.errors import DamagedError
from saeflow.files import write_json
from saeflow.measures.output import write_table
from saeflow.tables.runs import ORIGINAL, Key, read_runs
from saeflow.work import hold

PLACE = dict(model="m@12", dataset="d", packing="p-64", hook="resid_post.1", seed=3)
ON = dict(eval_dataset="e", eval_packing="q")


def test_the_key_of_a_path_is_what_the_path_was_made_of():
    for sae, recipe, method in (("a", "a", ORIGINAL), ("a-4x~decoder", "a-4x", "decoder")):
        path = paths.fill(paths.RECONSTRUCTION, sae=sae, **PLACE, **ON)
        assert Key.of_path(path) == Key(sae=recipe, method=method, **PLACE, **ON)
        path = paths.fill(paths.SAE, sae=sae, **PLACE)
        assert Key.of_path(Path("/elsewhere") / path) == Key(sae=recipe, method=method, **PLACE)


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
        "mlp_out.10", "resid_post.9", "resid_post.10",
    ]  # fmt: skip
    assert [(k.sae, k.method) for k in ordered[:3]] == [
        ("topk-8", ORIGINAL), ("topk-8", "scale"), ("topk-32", ORIGINAL),
    ]  # fmt: skip


def publish(path, record, tables=()):
    with hold(path, "0" * 64) as work:
        for name, columns in tables:
            write_table(work.path / name, columns)
        (work.path / "log.csv").write_text("step,tokens,loss\n1,100,0.5\n")
        work.finish(record)
        work.publish()
    return path


def test_records_of_one_sae_make_one_run(tmp_path):
    on = {**PLACE, **ON, "sae": "a"}
    metrics = {"l0": {"value": 2.0, "low": 1.0, "high": 3.0}}
    first = publish(
        tmp_path / paths.fill(paths.RECONSTRUCTION, **on),
        {"n_tokens": 10, "n_documents": 2, "metrics": metrics},
        [("documents.parquet", {"document": [0, 1], "tokens": [5.0, 5.0]})],
    )
    second = publish(
        tmp_path / paths.fill(paths.LANGUAGE, **on),
        {
            "n_tokens": 9,
            "n_documents": 2,
            "metrics": {"kl": {"value": 1.0, "low": None, "high": None}},
        },
    )
    (run,) = read_runs(reconstruction=[first], language=[second])
    assert run.metrics() == {
        "l0": 2.0, "l0_low": 1.0, "l0_high": 3.0, "kl": 1.0, "kl_low": None, "kl_high": None,
    }  # fmt: skip
    assert run.extent() == {"n_tokens": 10, "n_documents": 2}
    assert run.read_documents()["tokens"].tolist() == [5, 5]


def test_a_training_gives_its_log(tmp_path):
    path = publish(tmp_path / paths.fill(paths.SAE, **PLACE, sae="a"), {})
    (run,) = read_runs(sae=[path])
    assert run.read_log()["loss"].tolist() == [0.5] and run.key.eval_dataset == ""


def test_something_else_than_a_record_is_refused(tmp_path):
    path = tmp_path / paths.fill(paths.SAE, **PLACE, sae="a")
    write_json(path, [1])
    with pytest.raises(DamagedError, match="not a record"):
        read_runs(sae=[path])
