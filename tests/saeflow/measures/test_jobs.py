"""The measurements as jobs: from stores and saved SAEs to records and tables on disk."""

import numpy as np
import pandas as pd
import pytest
import torch

from saeflow.errors import DataError
from saeflow.files import hash_tree, read_json
from saeflow.measures.language import measure_language
from saeflow.measures.reconstruction import measure_reconstruction
from saeflow.plan.plan import MEASURES
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.save import save
from saeflow.tokens.store import open_tokens
from saeflow.work import hold
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_store, make_tokens, save_model

D = 16
LENGTHS = {"train": [32] * 4, "validation": [7], "test": [32, 20, 9, 32, 15]}
N_TEST = sum(LENGTHS["test"]) - len(LENGTHS["test"])  # a BOS in each


def settings(measure):
    return {"bootstrap": 100, "seed": 0, "metrics": list(MEASURES[measure])}


def publish_sae(record, seed):
    g = torch.Generator().manual_seed(seed)
    W_dec = torch.nn.functional.normalize(torch.randn(3 * D, D, generator=g), dim=1)
    weights = {
        "W_enc": W_dec.T.clone(), "b_enc": torch.full((3 * D,), -0.5),
        "W_dec": W_dec, "b_dec": torch.zeros(D),
    }  # fmt: skip
    sae = SAE("relu", architecture_settings("relu", {"l1": 0.0}), weights, {"hook": "resid_post.1"})
    with hold(record, f"sae {seed}") as work:
        save(sae, work.path)
        work.finish({})
        work.publish()
    return record


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    model = save_model(make_model("gpt_neox"), root / "model" / "model.json")
    tokens = make_tokens(root / "tokens", LENGTHS)
    activations = harvest_hooks(root / "hooks", ["resid_post.1"], model, tokens)["resid_post.1"]
    saes = [publish_sae(root / f"sae-{seed}" / "sae.json", seed) for seed in (0, 1)]
    return {"model": model, "tokens": tokens, "activations": activations, "saes": saes}


def run(made, place, measure, numbers=(0, 1)):
    """Measure some SAEs together; return their records and their finished directories."""
    held = [hold(place / f"sae-{n}" / f"{measure}.json", f"{n}".ljust(64, "0")) for n in numbers]
    works = [h.__enter__() for h in held]
    wanted = [(work, made["saes"][n]) for work, n in zip(works, numbers, strict=True)]
    try:
        if measure == "reconstruction":
            measure_reconstruction(wanted, made["activations"], settings(measure))
        else:
            names = ("model", "tokens", "activations")
            measure_language(wanted, settings=settings(measure), **{n: made[n] for n in names})
        for work in works:
            work.publish()
    finally:
        for h in held:
            h.__exit__(None, None, None)
    return [read_json(work.output) for work in works], [work.final for work in works]


def test_a_reconstruction_record_has_every_scalar_metric_with_its_interval(made, tmp_path):
    records, places = run(made, tmp_path, "reconstruction")
    record = records[0]
    assert set(record["metrics"]) == set(MEASURES["reconstruction"]) - {"density"}
    assert record["n_tokens"] == N_TEST and record["n_documents"] == len(LENGTHS["test"])
    for name in set(record["metrics"]) - {"dead"}:
        found = record["metrics"][name]
        assert found["low"] <= found["value"] <= found["high"], name
    documents = pd.read_parquet(places[0] / "documents.parquet")
    assert documents["tokens"].tolist() == [n - 1 for n in LENGTHS["test"]]
    assert record["metrics"]["l0"]["value"] == documents["active"].sum() / N_TEST


def test_covered_and_dead_latents_of_the_table_add_up_to_the_width(made, tmp_path):
    (record, *_), (place, *_) = run(made, tmp_path, "reconstruction")
    latents = pd.read_parquet(place / "latents.parquet")
    assert len(latents) == record["d_sae"] == 3 * D
    assert (latents["density"] > 0).sum() + record["n_dead"] == 3 * D
    assert record["metrics"]["dead"]["value"] == record["n_dead"] / (3 * D)


def test_a_language_record_has_every_metric_and_the_gaps(made, tmp_path):
    (record, *_), (place, *_) = run(made, tmp_path, "language")
    assert set(record["metrics"]) == set(MEASURES["language"])
    values = {name: found["value"] for name, found in record["metrics"].items()}
    assert values["delta_ce"] == pytest.approx(values["ce_loss_sae"] - values["ce_loss"])
    assert values["perplexity"] == pytest.approx(np.exp(values["ce_loss"]))
    assert record["ablation_gaps"]["mean"] == pytest.approx(
        values["ce_loss_mean"] - values["ce_loss"]
    )
    assert record["n_tokens"] == N_TEST
    assert pd.read_parquet(place / "documents.parquet")["predictions"].sum() == N_TEST


@pytest.mark.parametrize("measure", ["reconstruction", "language"])
def test_together_and_alone_give_the_same_bytes(made, tmp_path, measure):
    _, together = run(made, tmp_path / "together", measure)
    for number in (0, 1):
        _, (alone,) = run(made, tmp_path / f"alone-{number}", measure, [number])
        assert hash_tree(alone) == hash_tree(together[number])


def test_huge_special_rows_in_the_store_change_nothing(made, tmp_path):
    tokens = open_tokens(make_tokens(tmp_path / "tokens", LENGTHS))
    x = torch.randn(tokens.n_tokens, D, generator=torch.Generator().manual_seed(0))
    huge = torch.where(torch.from_numpy(tokens.flags != 0)[:, None], 1e15, x)
    found = []
    for name, rows in (("plain", x), ("huge", huge)):
        store = make_store(tmp_path / name, rows, LENGTHS)
        records, _ = run({**made, "activations": store}, tmp_path / f"on-{name}", "reconstruction")
        found.append([record["metrics"] for record in records])
    assert found[0] == found[1]


def test_a_store_without_a_test_split_is_an_error(made, tmp_path):
    lengths = {**LENGTHS, "test": []}
    n = sum(map(sum, lengths.values()))
    store = make_store(tmp_path / "store", torch.zeros(n, D), lengths)
    with pytest.raises(DataError, match="no token to measure on"):
        run({**made, "activations": store}, tmp_path / "on", "reconstruction")
