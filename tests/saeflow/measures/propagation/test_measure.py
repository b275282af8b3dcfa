"""The measurement as a job: from saved SAEs at several hooks to sums on disk."""

import pandas as pd
import pytest

from measured import measure, table, values
from saeflow import paths
from saeflow.errors import SaeflowError
from saeflow.files import hash_tree
from saeflow.work import bulk_of
from tiny_models import make_model
from tiny_saes import make_sae, publish_sae
from tiny_stores import make_tokens, save_model

D = 16
LENGTHS = {"train": [32], "validation": [7], "test": [32, 20, 9, 32, 15]}
HOOKS = ("resid_post.0", "resid_post.1", "resid_post.2")
SAES = [(hook, recipe) for hook in HOOKS for recipe in ("weak", "strong")]


def publish(root, hook, recipe, **metadata):
    place = {"model": "m", "dataset": "d", "packing": "p", "hook": hook, "sae": recipe, "seed": 0}
    seed = len(hook + recipe) + int(hook[-1])
    sae = make_sae(3 * D, D, seed, bias=-0.1, scale=0.2, hook=hook, **metadata)
    return publish_sae((root / paths.fill(paths.SAE, **place)).parent, sae)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    return {
        "model": save_model(make_model("gpt_neox"), root / "model" / "model.json"),
        "tokens": make_tokens(root / "tokens", LENGTHS),
        "saes": {key: publish(root, *key) for key in SAES},
    }


def run(made, place, wanted, tokens=1000):
    """Measure some SAEs in one pass, each with all at later hooks; return their tasks."""
    saes, names = made["saes"], {key: "-".join(key) for key in wanted}
    each = {
        name: {"others": [record for other, record in saes.items() if other[0] > key[0]]}
        for key, name in names.items()
    }
    tasks = measure(
        "propagation", place, {name: saes[key] for key, name in names.items()}, {"tokens": tokens},
        each=each, model=made["model"], tokens=made["tokens"],
    )  # fmt: skip
    return {key: tasks[name] for key, name in names.items()}


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
    bad = publish(tmp_path, *key, **(foreign if how == "of another model" else {}))
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
