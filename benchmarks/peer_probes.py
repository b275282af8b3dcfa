"""Runs in the peers' environment: the probes of sae-probes for one SAE on one of its datasets.

Its argument is a directory, which gets what ours need for the same work: ``codes.npy`` and
``labels.npy``; states are random and need no model. Nothing of saeflow is imported.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from sae_lens import TopKSAE, TopKSAEConfig
from sae_probes import utils_data

MODEL, HOOK, DATASET = "random", "blocks.2.hook_resid_post", "117_us_state_FL"
D_IN, D_SAE, K, KS = 512, 4096, 32, [1, 2, 4, 8, 16, 32, 64, 128]
FEW_KS = [16, 128]
SIZES, SHARES = [10, 40, 160, 640], [0.1, 0.5, 0.9]
"""Some of its numbers and shares of training examples: all take tens of minutes."""


@torch.no_grad()
def main(place: Path) -> None:
    """Write states and codes, time the probes, and print what they were."""
    torch.set_num_threads(1)
    labels = utils_data.get_yvals(DATASET)
    g = torch.Generator().manual_seed(0)
    falling = 10 * torch.arange(1, D_IN + 1) ** -0.6
    x = torch.randn(len(labels), D_IN, generator=g) * falling
    x += torch.tensor(labels)[:, None] * 0.2 * torch.randn(D_IN, generator=g)
    sae = TopKSAE(TopKSAEConfig(d_in=D_IN, d_sae=D_SAE, k=K))
    sae.W_enc.copy_(torch.randn(D_IN, D_SAE, generator=g) / 100)
    cache = place / f"model_activations_{MODEL}"
    cache.mkdir()
    torch.save(x, cache / f"{DATASET}_{HOOK}.pt")
    few = min(len(labels), 5000)
    np.save(place / "codes.npy", sae.encode(x[:few]).numpy())
    np.save(place / "labels.npy", labels[:few].astype(np.int8))
    evals = import_module("sae_probes.run_sae_evals")  # a function has its name, too
    evals.TRAIN_SIZES, evals.FRACS = SIZES, SHARES
    start = time.perf_counter()
    for setting in ("normal", "scarcity", "imbalance"):
        evals.run_sae_evals(
            sae, MODEL, HOOK, "l2", setting, ks=KS if setting == "normal" else FEW_KS,
            results_path=place, model_cache_path=place, datasets=[DATASET], device="cpu",
        )  # fmt: skip
    facts = {
        "seconds": time.perf_counter() - start, "train": min(few - 100, 1024), "ks": KS,
        "few_ks": FEW_KS, "sizes": SIZES, "shares": SHARES,
    }  # fmt: skip
    sys.stdout.write("\n" + json.dumps(facts) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
