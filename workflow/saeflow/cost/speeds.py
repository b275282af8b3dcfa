"""How fast this machine computes: measured in a few seconds, or assumed.

`Speeds` answers from what `saeflow.cost.calibrate` measured, and otherwise from operations at a
rate that any present core reaches. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from saeflow.cost.guess import Guess
from saeflow.cost.shapes import Shape
from saeflow.files import canonical_json

MEASURED_TIMES, ASSUMED_TIMES = 1.5, 4.0
"""How far off a measured and an assumed speed may be; the first also stands for other load."""

CORE_FLOPS = 2e10
DISK_BYTES_PER_S = 3e8
NETWORK_BYTES_PER_S = 2e7
JOB_START_S = 1.0
TORCH_START_S = 4.0

_BACKWARD = 3  # a training step takes three times the operations of a forward pass
_IMPORTED_EXPANSION = 16
_STEP_PRODUCTS = 5  # of x and W_enc or W_dec, forward and backward, where half is sparse


def block_key(shape: Shape) -> str:
    """Return the name of a block of a model."""
    sizes = {name: getattr(shape, name) for name in ("d_model", "n_heads", "d_mlp")}
    return canonical_json({"type": shape.config.get("model_type"), **sizes})


def training_key(shape: Shape) -> str:
    """Return the name of a model in training."""
    return canonical_json(
        {"of": block_key(shape), "n": shape.n_layers, "vocab_size": shape.vocab_size}
    )


def step_key(settings: Mapping[str, Any], d_in: int) -> str:
    """Return the name of a training step; seeds and schedules make no difference to its time."""
    kept = ("architecture", "k", "expansion", "d_sae", "batch_size", "aux_coef", "aux_k")
    return canonical_json({"d_in": d_in, **{k: settings[k] for k in kept if k in settings}})


def width_of(recipe: Mapping[str, Any], d_in: int) -> int:
    """Return d_sae of a recipe; of an SAE from elsewhere it is not known, and assumed."""
    return recipe.get("d_sae") or round((recipe.get("expansion") or _IMPORTED_EXPANSION) * d_in)


@dataclass
class Speeds:
    """Speeds of one machine.

    Attributes
    ----------
    threads : int
        What a job of all cores may use; SAEs are trained with half of them.
    blocks, training : dict
        Tokens per second through one block of a model, and through a model's training.
    steps : dict
        Seconds of a training step of an SAE, on ``half`` of the threads.
    disk : float or None
        Bytes per second that reach the disk.
    start : float or None
        Seconds until a process has imported torch and transformers.
    notes, failed : list of str
        How it was measured, and what could not be and why.
    """

    threads: int
    blocks: dict[str, float] = field(default_factory=dict)
    training: dict[str, float] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    disk: float | None = None
    start: float | None = None
    notes: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def half(self) -> int:
        """Threads of a job that leaves room for another."""
        return max(1, self.threads // 2)

    def blocks_rate(self, shape: Shape, n_blocks: int) -> Guess:
        """Return the tokens per second through the first blocks of a model, with all threads."""
        measured = self.blocks.get(block_key(shape))
        if measured:
            return Guess(measured / max(1, n_blocks), MEASURED_TIMES)
        flops = 2 * max(1, n_blocks) * shape.block_parameters
        return Guess(self.threads * CORE_FLOPS / flops, ASSUMED_TIMES)

    def head_rate(self, shape: Shape) -> Guess:
        """Return the tokens per second from final states to losses, with all threads."""
        return Guess(
            self.threads * CORE_FLOPS / (2 * shape.d_model * shape.vocab_size), ASSUMED_TIMES / 2
        )

    def training_rate(self, shape: Shape) -> Guess:
        """Return the tokens per second of a model's training, with all threads."""
        measured = self.training.get(training_key(shape))
        if measured:
            return Guess(measured, MEASURED_TIMES)
        flops = 2 * _BACKWARD * shape.n_parameters
        return Guess(self.threads * CORE_FLOPS / flops, ASSUMED_TIMES)

    def step(self, settings: Mapping[str, Any], d_in: int) -> Guess:
        """Return the seconds of one step of an SAE's training, with half of the threads."""
        measured = self.steps.get(step_key(settings, d_in))
        if measured:
            return Guess(measured, MEASURED_TIMES)
        flops = 2 * _STEP_PRODUCTS * settings["batch_size"] * d_in * width_of(settings, d_in)
        return Guess(flops / (self.half * CORE_FLOPS), ASSUMED_TIMES)

    @property
    def disk_rate(self) -> Guess:
        """Bytes written per second, checks and flushing included."""
        if self.disk:
            return Guess(self.disk, MEASURED_TIMES)
        return Guess(DISK_BYTES_PER_S, ASSUMED_TIMES)

    @property
    def start_s(self) -> Guess:
        """Seconds until a job that computes has begun."""
        return Guess(self.start or TORCH_START_S, 1.2 if self.start else 2.0)
