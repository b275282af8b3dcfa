"""The measurement as a job: from saved SAEs at several hooks to sums on disk."""

from contextlib import ExitStack

import pandas as pd
import pytest
import torch

from measured import table, values
from saeflow import paths
from saeflow.errors import SaeflowError
from saeflow.files import hash_tree
from saeflow.measures.propagation.measure import measure_propagation
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.save import save
from saeflow.task import Task
from saeflow.work import bulk_of, hold
from tiny_models import make_model
from tiny_stores import make_tokens, save_model

D = 16
LENGTHS = {"train": [32], "validation": [7], "test": [32, 20, 9, 32, 15]}
HOOKS = ("resid_post.0", "resid_post.1", "resid_post.2")
SAES = [(hook, recipe) for hook in HOOKS for recipe in ("weak", "strong")]


def publish_sae(root, hook, recipe, **metadata):
    place = {"model": "m", "dataset": "d", "packing": "p", "hook": hook, "sae": recipe, "seed": 0}
    record = root / paths.fill(paths.SAE, **place)
    g = torch.Generator().manual_seed(len(hook + recipe) + int(hook[-1]))
    W_dec = torch.nn.functional.normalize(torch.randn(3 * D, D, generator=g), dim=1)
    weights = {
        "W_enc": W_dec.T.clone(), "b_enc": torch.full((3 * D,), -0.1),
        "W_dec": W_dec * 0.2, "b_dec": torch.zeros(D),
    }  # fmt: skip
    settings = architecture_settings("relu", {"l1": 0.0})
    sae = SAE("relu", settings, weights, {"hook": hook, **metadata})
    with hold(record, f"{hook} {recipe}") as work:
        save(sae, work.path)
        work.finish({})
    return record


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    return {
        "model": save_model(make_model("gpt_neox"), root / "model" / "model.json"),
        "tokens": make_tokens(root / "tokens", LENGTHS),
        "saes": {key: publish_sae(root, *key) for key in SAES},
    }


def run(made, place, wanted, tokens=1000):
    """Measure some SAEs in one pass, each with all at later hooks; return their tasks."""
    tasks = {}
    with ExitStack() as stack:
        for key in wanted:
            others = [record for other, record in made["saes"].items() if other[0] > key[0]]
            work = stack.enter_context(hold(place / "-".join(key) / "propagation.json", "0" * 64))
            inputs = {"sae": made["saes"][key], "others": others}
            inputs |= {name: made[name] for name in ("model", "tokens")}
            settings = {"measure": "propagation", "tokens": tokens}
            tasks[key] = Task(work.output, work.identity, settings, inputs, work=work)
        measure_propagation(list(tasks.values()))
    return tasks


def test_each_sae_has_sums_of_itself_and_of_every_later_one(made, tmp_path):
    tasks = run(made, tmp_path, SAES[:4])
    task = tasks["resid_post.0", "weak"]
    pairs = table(task, "pairs")
    later = pairs[["hook", "sae"]].drop_duplicates().itertuples(index=False, name=None)
    assert list(later) == SAES[2:]
    assert len(pairs) == 4 * len(LENGTHS["test"])
    n = sum(LENGTHS["test"]) - len(LENGTHS["test"])
    assert (pairs.groupby(["hook", "sae"])["tokens"].sum() == n).all()
    facts = {"n_tokens": n, "n_documents": len(LENGTHS["test"])}
    assert facts.items() <= task.work.manifest.items()
    counted = table(task, "ratios").groupby(["hook", "sae", "quantity", "way"])["tokens"].sum()
    compared = pairs.groupby(["hook", "sae"])[["squared_error_compared", "l0_compared"]].sum()
    for (hook, sae, quantity, _), found in counted.items():
        if quantity != "norm":
            assert found == compared.loc[(hook, sae), f"{quantity}_compared"]
    assert values(task)["delta_ce_full"] != values(tasks["resid_post.0", "strong"])["delta_ce_full"]
    assert len(table(tasks["resid_post.1", "weak"], "pairs")) == 2 * len(LENGTHS["test"])


def test_together_and_alone_give_the_same_bytes(made, tmp_path):
    together = run(made, tmp_path / "together", SAES[:4])
    for key in SAES[:4]:
        (alone,) = run(made, tmp_path / "-".join(key), [key]).values()
        assert hash_tree(alone.work.final) == hash_tree(together[key].work.final)


def test_as_many_tokens_are_measured_as_are_wanted(made, tmp_path):
    (task,) = run(made, tmp_path, SAES[:1], tokens=40).values()
    assert task.work.manifest["n_documents"] == 2 and task.work.manifest["n_tokens"] == 50


@pytest.mark.parametrize("how", ["damaged", "of another model"])
def test_an_sae_that_does_not_fit_fails_with_those_that_want_it(made, tmp_path, how):
    foreign = {"model": {"name": "other", "weights_sha256": "f" * 64}}
    key = ("resid_post.1", "weak")
    bad = publish_sae(tmp_path, *key, **(foreign if how == "of another model" else {}))
    if how == "damaged":
        (bulk_of(bad) / "sae_weights.safetensors").write_bytes(b"")
    saes = {**made["saes"], key: bad}
    tasks = run({**made, "saes": saes}, tmp_path, SAES[:4])
    failed = {key for key, task in tasks.items() if task.error is not None}
    assert failed == {*SAES[:2], key}
    assert all(isinstance(tasks[key].error, SaeflowError) for key in failed)
    good = tasks["resid_post.1", "strong"]
    (alone,) = run(made, tmp_path / "alone", [("resid_post.1", "strong")]).values()
    pd.testing.assert_frame_equal(table(good, "pairs"), table(alone, "pairs"))
