"""Transcoders and baselines through training, reconstruction and the model, as the jobs do it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from measured import measure, measure_hooks, values
from sae_stores import train_saes
from saeflow.models.hooks import Hook, capture, replace
from saeflow.models.load import load_model
from saeflow.sae.saved.load import load_sae
from saeflow.tokens.store import open_tokens
from saeflow.work import hold
from tiny_models import make_model
from tiny_stores import harvest_hooks, make_tokens, save_model

LENGTHS = {"train": [32] * 40, "validation": [7], "test": [32, 20, 9, 32, 15]}
READ, PREDICTED = "resid_pre.1", "mlp_out.1"
COMMON = {"expansion": 3, "batch_size": 64, "seed": 0}
RECIPES = {
    "identity": {"architecture": "identity", "seed": 0},
    "mean": {"architecture": "mean", "seed": 0},
    "pca": {"architecture": "pca", "seed": 0},
    "transcoder": {"architecture": "topk", "k": 4, "target": PREDICTED, "subtract_b_dec": False,
                   "scale_input": "mean_square", **COMMON},
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    model = save_model(make_model("gpt_neox"), root / "model" / "model.json")
    tokens = make_tokens(root / "tokens", LENGTHS)
    stores = harvest_hooks(root / "hooks", [READ, PREDICTED], model, tokens)
    saes = {}
    for name, recipe in RECIPES.items():
        target = stores[PREDICTED] if "target" in recipe else None
        with hold(root / name / "sae.json", name.ljust(64, "0")) as work:
            train_saes([(work, recipe)], stores[READ], target=target)
        saes[name] = work.output
    return {"root": root, "model": model, "tokens": tokens, "stores": stores, "saes": saes}


@pytest.fixture(scope="module")
def measured(made, tmp_path_factory):
    """Return the metrics of both measures by SAE."""
    root, found = tmp_path_factory.mktemp("measured"), {}
    texts = {name: made[name] for name in ("model", "tokens")}
    clean = measure_hooks(root, made["stores"], **texts)
    for name, sae in made["saes"].items():
        target = made["stores"][PREDICTED] if name == "transcoder" else None
        both = {"activations": made["stores"][READ], "target": target}
        for kind, inputs in (
            ("reconstruction", both),
            ("language", {**both, **texts, "clean": clean[target and PREDICTED or READ].output}),
        ):
            (task,) = measure(kind, root, {name: sae}, **inputs).values()
            found.setdefault(name, {}).update(values(task))
    return found


def test_the_identity_explains_all_and_changes_nothing_in_the_model(measured):
    assert measured["identity"]["fvu"] == 0
    assert measured["identity"]["delta_ce"] == 0 and measured["identity"]["kl"] == 0


def test_all_principal_components_explain_all(measured):
    assert measured["pca"]["fvu"] < 1e-9
    assert abs(measured["pca"]["delta_ce"]) < 1e-5


def test_the_mean_explains_nothing_and_is_the_mean_ablation_of_the_training_texts(measured):
    assert measured["mean"]["fvu"] == pytest.approx(1.0, abs=0.1)
    assert measured["mean"]["l0"] == 0
    assert measured["mean"]["ce_loss_sae"] == pytest.approx(
        measured["mean"]["ce_loss_mean"], abs=0.02
    )


def test_a_transcoder_takes_the_place_of_the_activations_that_it_predicts(measured, made):
    model, sae = load_model(made["model"], "cpu"), load_sae(made["saes"]["transcoder"])
    store, hooks = open_tokens(made["tokens"]), [Hook.parse(READ), Hook.parse(PREDICTED)]
    first, end = store.sequence_range("test")
    offsets, total, n, squared, deviation = store.sequence_offsets, 0.0, 0, 0.0, []
    for sequence in range(first, end):
        ids = torch.from_numpy(
            store.token_id[offsets[sequence] : offsets[sequence + 1]].astype("int64")
        )[None]
        with torch.no_grad(), capture(model, hooks) as found:
            model(ids)
        x, y = (found[hook].float() for hook in hooks)
        x_hat = y.clone()
        x_hat[:, 1:] = sae(x[:, 1:])  # the BOS keeps its own
        squared += float((x_hat - y).double().square().sum())
        deviation.append(y[0, 1:].double())
        with torch.no_grad(), replace(model, hooks[1], lambda _, new=x_hat: new):
            logits = model(ids).logits
        total += float(F.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="sum"))
        n += ids.shape[1] - 1
    every = torch.cat(deviation)
    variance = float((every - every.mean(0)).square().sum())
    assert measured["transcoder"]["ce_loss_sae"] == pytest.approx(total / n, rel=1e-5)
    assert measured["transcoder"]["fvu"] == pytest.approx(squared / variance, rel=1e-4)
    assert measured["transcoder"]["delta_ce"] != 0


def test_a_transcoder_says_what_it_predicts_and_keeps_unit_rows(made):
    sae = load_sae(made["saes"]["transcoder"])
    assert sae.metadata["hook"] == READ and sae.metadata["target"]["hook"] == PREDICTED
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(sae.d_sae))
    assert sae.metadata["training"]["scale"][0] != sae.metadata["training"]["scale"][1]
