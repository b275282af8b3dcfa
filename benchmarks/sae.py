"""Training steps of each architecture and an evaluation, against the encoder's product.

A step is forward, backward, Adam and the norm constraint; the product is ``x @ W_enc`` in float32.
On this scale the peers' own steps cost, on another two-core machine (d_sae 4096): TopK 9.7
(SAELens 6.54), 8.6 (dictionary_learning 0.1.0), 3.8 (sparsify 1.3.3, adam); L1 9.0 and 8.1.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.figure import Figure, ratio
from saeflow import registry
from saeflow.measures.reconstruction import Evaluated, reconstruct
from saeflow.sae.model import ARCHITECTURES, SAE, architecture_settings
from saeflow.sae.steps.step import Batch, State, Workspace
from saeflow.sae.training.optim import Adam, normalise, remove_parallel

THREADS = 2
REPEATS = 15  # short ones, on machines that others may disturb
D_IN, BATCH = 512, 4096
MEMORY = {
    "topk": ("topk", {"k": 32}, None),
    "relu, half active": ("relu", {"l1": 1e-3}, 0.5),
    "matryoshka": ("matryoshka", {"k": 40}, None),
}
RATE = 1e-9  # the weights stay where a figure wants them


def figures() -> Iterator[Figure]:
    """Yield the cost of each kind of step relative to the product."""
    torch.set_num_threads(THREADS)
    sizes = [(4096, 1.5), (16384, 1.5)]
    for d_sae, target in sizes:
        yield _figure(f"topk step, k 32, d_sae {d_sae}", target, "topk", {"k": 32}, d_sae)
    yield _figure("topk step with AuxK, 10 % dead", 2.0, "topk", {"k": 32}, dead=0.1)
    yield _figure("relu step, l0 40", 1.8, "relu", {"l1": 1e-3}, density=40 / 4096)
    yield _figure("relu step, half active", 6.5, "relu", {"l1": 1e-3}, density=0.5)
    yield _figure("batchtopk step, k 40", 2.5, "batchtopk", {"k": 40})
    yield _figure("matryoshka step, k 40, 4 groups", 2.5, "matryoshka", {"k": 40})
    jump = {"l0_coef": 1e-3}
    yield _figure("jumprelu step, l0 40", 2.5, "jumprelu", jump, density=40 / 4096)
    yield _evaluation()
    for name, (architecture, values, density) in MEMORY.items():
        yield _memory(name, architecture, values, density)


class Stepper:
    """An SAE and what a training step of it needs.

    Parameters
    ----------
    architecture, values
        Its name and settings.
    d_sae
        Number of latents.
    density
        Share of the latents that a threshold lets through; None where the rule decides.
    dead
        Share of the latents that are dead.
    """

    def __init__(
        self,
        architecture: str,
        values: Mapping[str, Any],
        d_sae: int = 4096,
        *,
        density: float | None = None,
        dead: float = 0.0,
    ) -> None:
        self.rule = registry.load(ARCHITECTURES, architecture)
        self.settings = architecture_settings(architecture, values)
        self.x = activations()
        generator = torch.Generator().manual_seed(0)
        self.weights = self.rule.initial(self.settings, d_sae, self.x, generator)
        if density is not None:
            self._reach(density)
        moved = {n: w for n, w in self.weights.items() if n not in self.rule.BUFFERS}
        self.gradients = {n: torch.zeros_like(w) for n, w in moved.items()}
        self.adam = Adam(moved, self.gradients)
        self.workspace = Workspace()
        self.dead = torch.arange(d_sae) < round(dead * d_sae)
        self.n_active = 0

    def _reach(self, density: float) -> None:
        """Set the encoder's bias so that each latent is active on this share of the batch."""
        b_dec = self.weights["b_dec"] if self.settings.subtract_b_dec else 0.0
        product = (self.x - b_dec) @ self.weights["W_enc"]
        rank = round((1 - density) * len(product))
        place = np.partition(product.numpy(), rank, axis=0)[rank]
        self.weights["b_enc"].copy_(-torch.from_numpy(place))

    def step(self) -> None:
        """Do one step, of a batch that nobody has looked at."""
        state = State(0, self.dead, self.workspace, 1)
        terms = self.rule.step(self.weights, self.gradients, self.settings, Batch(self.x), state)
        self.n_active = terms.n_active
        if self.settings.unit_norm_decoder:
            remove_parallel(self.gradients["W_dec"], self.weights["W_dec"])
        self.adam.step(RATE)
        if self.settings.unit_norm_decoder:
            normalise(self.weights["W_dec"])

    def product(self) -> Tensor:
        """Return the ceiling: the encoder's product."""
        return self.x @ self.weights["W_enc"]


def activations(n: int = BATCH) -> Tensor:
    """Return (n, D_IN): sums of about eight of many random directions, as an SAE expects."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(2048, D_IN, generator=generator) / D_IN**0.5
    strength = torch.rand(n, 2048, generator=generator)
    return (strength * (torch.rand(n, 2048, generator=generator) < 8 / 2048)) @ directions


def _figure(
    name: str,
    target: float,
    architecture: str,
    values: Mapping[str, Any],
    d_sae: int = 4096,
    **options: float,
) -> Figure:
    stepper = Stepper(architecture, values, d_sae, **options)
    value = ratio(stepper.step, stepper.product, repeats=REPEATS)
    return Figure(f"{name} (l0 {stepper.n_active / BATCH:.0f})", value, target, at_least=False)


def _evaluation() -> Figure:
    """Encode, decode and sum up for every reconstruction metric."""
    stepper = Stepper("topk", {"k": 32})
    sae = SAE("topk", stepper.settings, stepper.weights)
    rows = np.arange(BATCH)
    tokens = Evaluated(stepper.x.numpy(), rows, rows // 128)
    evaluate = partial(reconstruct, [sae], tokens)
    value = ratio(evaluate, stepper.product, repeats=REPEATS)
    return Figure("evaluation of topk, k 32, all reconstruction metrics", value, 1.5, False)


def _memory(
    name: str, architecture: str, values: Mapping[str, Any], density: float | None
) -> Figure:
    """Measure in a process of its own: memory that others gave back would hide some."""
    call = f"from benchmarks.sae import peak; peak({architecture!r}, {values!r}, {density!r})"
    # large pieces go back to the system when they are freed
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "131072"}
    command = [sys.executable, "-c", call]
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    title = f"peak memory of a {name} step, in floats per (batch x d_sae), d_sae 4096"
    return Figure(title, float(found.stdout), 2.5, False)


def peak(architecture: str, values: Mapping[str, Any], density: float | None) -> None:
    """Write how much memory steps take over the batch, the parameters and their moments."""
    torch.set_num_threads(THREADS)
    stepper = Stepper(architecture, values, density=density)
    parameters = sum(w.numel() for w in stepper.gradients.values())
    small = Stepper(architecture, values, 64, density=density)
    small.x = small.x[:64].clone()
    small.step()  # libraries and threads take their memory
    del small
    before = _status("VmRSS") - 4 * parameters  # the gradients are part of what is measured
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    for _ in range(3):
        stepper.step()
    n_bytes = _status("VmHWM") - before
    sys.stdout.write(str(n_bytes / (4 * BATCH * 4096)))


def _status(name: str) -> int:
    """Return a line of this process' memory status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise LookupError(name)
