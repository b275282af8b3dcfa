"""What following errors through a model costs beside a pass for each pair of layers, and memory.

The model has the shape of Pythia-70m and random weights; SAEs stand after each block. All later
layers are seen in one pass per earlier one, so that 5 passes serve 15 pairs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figure import Figure, ratio

ROOT = Path(__file__).parents[1]
THREADS, REPEATS = 2, 3
SHAPE = {"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8}
SMALL = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
CONTEXT, SEQUENCES = 128, 16
MEMORY_SEQUENCES = 64, 640


def figures() -> Iterator[Figure]:
    """Yield passes through blocks and times of all pairs, and how memory grows with tokens."""
    torch.set_num_threads(THREADS)
    follower = _Follower()
    blocks = [follower.count(run) for run in (follower.once, follower.by_pair)]
    yield Figure("blocks run for all pairs of 6 layers, of those of a pass per pair",
                 blocks[0] / blocks[1], 0.28, False)  # fmt: skip
    value = ratio(follower.once, follower.by_pair, repeats=REPEATS)
    yield Figure("time for all pairs of 6 layers, of that of a pass per pair", value, 0.4, False)
    few, many = (_peak(n) for n in MEMORY_SEQUENCES)
    yield Figure(
        "peak memory of following errors over 10 times the tokens", many / few, 1.05, False
    )


def _model(shape: dict[str, int], vocab_size: int = 64) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM, GPTNeoXConfig

    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=vocab_size, intermediate_size=4 * shape["hidden_size"],
        max_position_embeddings=2048, bos_token_id=0, eos_token_id=0, **shape,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)


class _Follower:
    """A model with a change after each block but the last."""

    def __init__(self) -> None:
        from saeflow.hooks import Hook
        from saeflow.models.propagate import Propagation

        self._hooks = [Hook("resid_post", block) for block in range(SHAPE["num_hidden_layers"])]
        self._network = _model(SHAPE)
        self._model = Propagation(self._network, self._hooks[:-1], self._hooks)
        with torch.no_grad():
            self._clean = self._model.clean(torch.randint(64, (SEQUENCES, CONTEXT)))

    @torch.no_grad()
    def once(self) -> None:
        """Follow the change at each layer once, seen at all later ones."""
        for number, hook in enumerate(self._hooks[:-1]):
            self._follow(hook, self._hooks[number + 1 :])

    @torch.no_grad()
    def by_pair(self) -> None:
        """Follow it once for each later layer."""
        for number, hook in enumerate(self._hooks[:-1]):
            for later in self._hooks[number + 1 :]:
                self._follow(hook, [later])

    def _follow(self, hook: Any, seen: list[Any]) -> None:
        self._model.full(hook, 0.9 * self._clean.at[hook], self._clean, seen)

    def count(self, run: Any) -> int:
        """Return how many blocks are run."""
        n = 0

        def note(*_: object) -> None:
            nonlocal n
            n += 1

        blocks = self._network.gpt_neox.layers
        handles = [block.register_forward_hook(note) for block in blocks]
        run()
        for handle in handles:
            handle.remove()
        return n


def _peak(n_sequences: int) -> float:
    """Return the peak resident bytes of a process that measures so many sequences."""
    call = f"from benchmarks.propagation import alone; alone({n_sequences})"
    command = [sys.executable, "-c", call]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(found.stdout.splitlines()[-1])


def alone(n_sequences: int) -> None:
    """Measure in this process and write its peak, which the kernel counts since its start."""
    from saeflow.hooks import Hook
    from saeflow.measures.propagation.following import Placed, propagate
    from saeflow.sae.model import SAE, architecture_settings
    from saeflow.tokens.sequences import Sequences

    torch.set_num_threads(THREADS)
    d, n = SMALL["hidden_size"], n_sequences * CONTEXT
    settings, saes = architecture_settings("topk", {"k": 8}), []
    for block in range(SMALL["num_hidden_layers"]):
        W_dec = torch.nn.functional.normalize(torch.randn(4 * d, d), dim=1)
        weights = {
            "W_enc": W_dec.T.clone(), "b_enc": torch.zeros(4 * d),
            "W_dec": W_dec, "b_dec": torch.zeros(d),
        }  # fmt: skip
        saes.append(Placed(Hook("resid_post", block), "topk", SAE("topk", settings, weights)))
    ids = np.random.default_rng(0).integers(0, 64, n)
    documents = np.arange(n) // (n // 64)  # the same number of documents
    offsets = np.arange(0, n + 1, CONTEXT)
    tokens = Sequences(ids, documents, np.zeros(n, dtype=bool), offsets)
    upstream = {first: list(range(second, len(saes))) for first, second in pairwise(range(3))}
    propagate(_model(SMALL), saes, upstream, tokens)
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in status if line.startswith("VmHWM:"))
    sys.stdout.write(str(1024 * int(peak.split()[1])))
