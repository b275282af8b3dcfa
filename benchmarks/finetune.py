"""What fine-tuning costs beside training: passes over the same tokens, by the jobs themselves.

A pass is `train_sweep` of one ReLU SAE, from the store to the saved SAE; it is compared with
`finetune_sweep` of several methods, which share batches and, where the encoder is frozen, codes.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figure import Figure, ratio

ROOT = Path(__file__).parents[1]
THREADS, REPEATS = 2, 3
D_IN, EXPANSION, BATCH = 128, 8, 1024
N_SEQUENCES = 15_625  # of 32 rows: half a million
N_VALIDATION = 800
MEASURED = 50_000  # a test split is about a tenth of what is trained on
L1 = 0.004  # some 25 latents are active on a token
SHARD_ROWS = 32_768
FROZEN = ("scale", "unrotated_decoder", "decoder")
SEVEN = (*FROZEN, "encoder", "unrotated_encoder", "unrotated_all", "baseline")


def figures() -> Iterator[Figure]:
    """Yield the cost of sets of methods in passes of training."""
    sys.path.insert(0, str(ROOT / "tests"))
    torch.set_num_threads(THREADS)
    place = Path(tempfile.mkdtemp(prefix="saeflow-bench-"))
    try:
        passes = _Passes(place)
        for name, methods, solver, target in (
            ("three decoder-side methods by steps", FROZEN, "steps", 0.5),
            ("three decoder-side methods in closed form", FROZEN, "exact", 0.5),
            ("all seven methods by steps", SEVEN, "steps", 5.0),
        ):
            yield passes.figure(name, methods, solver, target)
    finally:
        shutil.rmtree(place)


class _Passes:
    """A store, an SAE trained on it, and what is timed; each run has places of its own."""

    def __init__(self, place: Path) -> None:
        from sae_stores import make_activations, sparse_data

        self._place, self._numbers = place, itertools.count()
        n = (N_SEQUENCES + N_VALIDATION + 2) * 33
        self._x = sparse_data(n, D_IN, 4 * D_IN, mean_l0=10)
        self._activations = make_activations(
            place, n_sequences=N_SEQUENCES, n_validation=N_VALIDATION, x=self._x,
            dtype="float16", shard_rows=SHARD_ROWS,
        )  # fmt: skip
        self._parent = self.train()

    def figure(self, name: str, methods: Sequence[str], solver: str, target: float) -> Figure:
        """Return the cost of some methods, their measures included."""
        value = ratio(lambda: self.tune(methods, solver), self.train, repeats=REPEATS)
        return Figure(f"{name}, measured, in passes of training", value, target, at_least=False)

    def train(self) -> Path:
        """Train the SAE on every row once and return its record."""
        from sae_stores import published, train_saes

        settings = {
            "architecture": "relu", "l1": L1, "expansion": EXPANSION, "batch_size": BATCH,
            "learning_rate": 4e-3, "seed": 0,
        }  # fmt: skip
        return published(
            self._place,
            f"relu-{next(self._numbers)}",
            lambda work: train_saes([(work, settings)], self._activations),
        )

    def tune(self, methods: Sequence[str], solver: str) -> None:
        """Fine-tune the SAE by some methods in one pass and measure what came out."""
        from sae_stores import place, tune_saes
        from saeflow.measures.reconstruction import Evaluated, reconstruct
        from saeflow.sae.saved.load import load_sae

        run: dict[str, Any] = {"batch_size": BATCH, "learning_rate": 1e-3}
        run = run if solver == "steps" else {}
        number = next(self._numbers)
        works = [place(self._place, f"{method}-{number}") for method in methods]
        tune_saes(
            [
                (work, {"method": method, "solver": solver, **run}, self._parent)
                for method, work in zip(methods, works, strict=True)
            ],
            self._activations,
        )
        rows = np.arange(MEASURED)
        tokens = Evaluated(self._x.numpy(), rows, rows // 32)
        reconstruct([load_sae(work.final) for work in works], tokens)
