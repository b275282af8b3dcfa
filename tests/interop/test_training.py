"""Trained on the same rows for as long, our TopK SAEs explain no less than the peers'."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from interop.conftest import residuals
from sae_stores import SEQUENCE, make_activations, train_saes
from saeflow.sae.saved.load import load_sae
from saeflow.work import hold

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("interop")]

K, D_SAE, BATCH, STEPS = 8, 512, 512, 400
SEEDS, RATES = (0, 1, 2), (1e-3, 4e-3)
PEERS = ("saelens", "dictionary_learning", "sparsify")


@pytest.fixture(scope="module")
def files(real_data, tmp_path_factory):
    """Files of "x" to train on and to compare on."""
    root = tmp_path_factory.mktemp("training")
    train = residuals(real_data, "tinystories_lowercase.jsonl", 150)
    save_file({"x": train}, root / "train.safetensors")
    save_file({"x": residuals(real_data, "tinystories_cased.jsonl", 30)}, root / "test.safetensors")
    return root


def fvu(x, x_hat):
    return float((x - x_hat).square().sum() / (x - x.mean(0)).square().sum())


@pytest.fixture(scope="module")
def ours(files, tmp_path_factory):
    """FVU on the test rows by learning rate, one per seed."""
    root, x = tmp_path_factory.mktemp("ours"), load_file(files / "train.safetensors")["x"]
    test = load_file(files / "test.safetensors")["x"]
    n_sequences = len(x) // SEQUENCE - 2
    record = make_activations(root, n_sequences=n_sequences, x=x[: (n_sequences + 2) * SEQUENCE])
    found = {}
    for rate in RATES:
        found[rate] = []
        for seed in SEEDS:
            settings = {"architecture": "topk", "k": K, "expansion": D_SAE / 64, "seed": seed,
                        "batch_size": BATCH, "tokens": STEPS * BATCH, "epochs": 20,
                        "learning_rate": rate, "order_seed": seed}  # fmt: skip
            with hold(root / f"{rate}-{seed}" / "sae.json", "i" * 64) as work:
                train_saes([(work, settings)], record)
                found[rate].append(fvu(test, load_sae(work.final)(test)))
    return found


@pytest.mark.parametrize("name", PEERS)
def test_our_fvu_is_no_worse_at_the_same_k_and_budget(name, ours, files, peer, tmp_path):
    test = load_file(files / "test.safetensors")["x"]
    theirs = {}
    for rate in RATES:
        answers = [
            peer.ask(
                "trained", tmp_path, files / "test.safetensors", peer=name,
                train=str(files / "train.safetensors"), k=K, d_sae=D_SAE, steps=STEPS, size=BATCH,
                lr=rate, seed=seed,
            )
            for seed in SEEDS
        ]  # fmt: skip
        assert all(float((a["latents"] > 0).sum(1).float().mean()) <= K for a in answers)
        theirs[rate] = [fvu(test, a["x_hat"]) for a in answers]
    best = [torch.tensor(min(found.values(), key=sum)) for found in (ours, theirs)]
    spread = float((best[0].var() + best[1].var()).sqrt())
    print(f"{name}: ours {best[0].tolist()}, theirs {best[1].tolist()}, all {ours} {theirs}")
    assert float(best[0].mean()) <= float(best[1].mean()) + 2 * spread
