"""Runs in the peers' environment: SAELens' own evaluation of the SAEs that a benchmark made.

Its arguments are a model's directory, a file of token ids and a directory of an SAE for each block.
Nothing of saeflow is imported.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sae_lens import SAE
from sae_lens.evals import get_downstream_reconstruction_metrics
from sae_lens.load_model import HookedProxyLM
from sae_lens.training.activation_scaler import ActivationScaler
from transformers import AutoModelForCausalLM

BATCH_PROMPTS = 32


class Tokens:
    """Gives tokens as SAELens' own store of activations does."""

    def __init__(self, ids: torch.Tensor) -> None:
        self.ids, self.given = ids, 0

    def get_batch_tokens(self, n: int) -> torch.Tensor:
        """Return the next ``n`` sequences."""
        self.given += n
        return self.ids[self.given - n : self.given]


@torch.no_grad()
def evaluate(sae: SAE, hooked: HookedProxyLM, ids: torch.Tensor) -> float:
    """Return the mean loss with an SAE, as SAELens measures it beside those without and at zero."""
    n = min(BATCH_PROMPTS, len(ids))
    return get_downstream_reconstruction_metrics(
        sae,
        hooked,
        Tokens(ids),
        ActivationScaler(),
        compute_kl=False,
        compute_ce_loss=True,
        n_batches=len(ids) // n,
        eval_batch_size_prompts=n,
        ignore_tokens=[0],
    )["ce_loss_with_sae"]


def main(model: Path, ids: Path, *directories: Path) -> None:
    """Tell the time, peak memory and mean losses with the SAE of each layer."""
    network = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    names = [f"gpt_neox.layers.{layer}" for layer in range(len(directories))]
    hooked, tokens = HookedProxyLM(network, None, hook_names=names), torch.from_numpy(np.load(ids))
    saes = [SAE.load_from_disk(directory) for directory in directories]
    for sae, name in zip(saes, names, strict=True):
        sae.cfg.metadata.hook_name = name
    evaluate(saes[0], hooked, tokens[:BATCH_PROMPTS])  # warms up
    start = time.perf_counter()
    losses = [evaluate(sae, hooked, tokens) for sae in saes]
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM:"))
    found = {"seconds": seconds, "peak_bytes": 1024 * int(peak.split()[1]), "losses": losses}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
