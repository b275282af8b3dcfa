"""The settings of a language model's training, and what follows from them without torch.

The planner reads this to know which checkpoints a model will have. Read `TrainingPlan` first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from saeflow.errors import ConfigError

LOG_SPACED = "log-spaced"
_FINAL_LEARNING_RATE_FRAC = 0.02
# Abilities that appear suddenly (who receives?) need the full rate for long.
_FLAT_FRAC = 0.5
_INDUCTION_RAMP_STEPS = 50
_NOT_OURS = {"dataset", "packing", "tokenizer"}  # they name inputs: their records say the rest


@dataclass(frozen=True)
class TrainingPlan:
    """How one GPT-NeoX is built and trained.

    Attributes
    ----------
    n_layers, d_model, n_heads : int
        Blocks, width and attention heads.
    tokens : int
        Tokens to train on, after the induction steps; more than the split has means epochs.
    batch_tokens : int
        Tokens per step.
    learning_rate : float
        The highest; over the second half it falls along a cosine to a fiftieth of it.
    weight_decay : float
        On matrices, not on biases and gains.
    warmup_tokens : int
        Tokens over which the learning rate rises.
    induction_steps : int
        Steps on random words before any text: runs to repeat, and pairs of which one is named
        and the other follows. Attention that copies, and that leaves out what was just named,
        forms within a few hundred such steps, and hardly within the whole training without.
    initializer_range : float
        Standard deviation of the initial weights.
    seed : int
        Of the weights, the order of sequences and the random words.
    checkpoints : str or tuple of int
        "log-spaced" (0, 1, 2, 4, ...) or the steps after which the model is kept. Step 0 is the
        random initialisation; steps count those on text only.
    precision : str
        "float32" or "bfloat16" (autocast; weights stay in float32).
    context_length : int or None
        Positions of the model; those of the packing by default.
    """

    n_layers: int
    d_model: int
    n_heads: int
    tokens: int
    batch_tokens: int = 2048
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_tokens: int = 160_000
    induction_steps: int = 400
    initializer_range: float = 0.06
    seed: int = 0
    checkpoints: str | tuple[int, ...] = LOG_SPACED
    precision: str = "float32"
    context_length: int | None = None

    def __post_init__(self) -> None:
        if self.d_model % (2 * self.n_heads):
            raise ConfigError(
                "rotary attention needs heads of one even width",
                where="models > train",
                expected="d_model to be a multiple of 2 * n_heads",
                got=f"d_model {self.d_model}, n_heads {self.n_heads}",
                remedy="Change one of them.",
            )
        if self.precision not in ("float32", "bfloat16"):
            raise ConfigError(
                "unknown precision",
                where="models > train > precision",
                expected="float32 or bfloat16",
                got=self.precision,
            )
        if self.tokens < self.batch_tokens:
            raise ConfigError(
                "there is not one step to train",
                where="models > train > tokens",
                expected=f"at least batch_tokens = {self.batch_tokens}",
                got=self.tokens,
                remedy="Raise tokens or lower batch_tokens.",
            )
        self.checkpoint_steps()

    @property
    def n_steps(self) -> int:
        """Steps on text."""
        return self.tokens // self.batch_tokens

    def checkpoint_steps(self) -> tuple[int, ...]:
        """Return the steps after which a checkpoint is kept, the last step not among them.

        The model after the last step is the trained model itself.
        """
        if self.checkpoints == LOG_SPACED:
            powers = (1 << i for i in range(self.n_steps.bit_length()))
            return (0, *(step for step in powers if step < self.n_steps))
        steps = self.checkpoints
        if isinstance(steps, str) or any(not 0 <= step < self.n_steps for step in steps):
            raise ConfigError(
                "a checkpoint lies outside the training",
                where="models > train > checkpoints",
                expected=f"'{LOG_SPACED}' or steps from 0 to {self.n_steps - 1}",
                got=steps if isinstance(steps, str) else list(steps),
            )
        return tuple(sorted(set(steps)))

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step; negative steps are the induction steps."""
        if step < 0:
            return self.learning_rate * min(
                1.0, (step + self.induction_steps + 1) / _INDUCTION_RAMP_STEPS
            )
        warmup_steps = max(1, self.warmup_tokens // self.batch_tokens)
        falling = max(0.0, step / self.n_steps - _FLAT_FRAC) / (1 - _FLAT_FRAC)
        cosine = 0.5 * (1 + math.cos(math.pi * falling))
        fall = _FINAL_LEARNING_RATE_FRAC + (1 - _FINAL_LEARNING_RATE_FRAC) * cosine
        return self.learning_rate * min(1.0, (step + 1) / warmup_steps) * fall


def training_plan(settings: Mapping[str, Any]) -> TrainingPlan:
    """Return the plan of a ``train:`` section of the configuration.

    Raises
    ------
    ConfigError
        If a key is unknown or a value impossible.
    """
    known = {field.name for field in fields(TrainingPlan)}
    unknown = sorted(set(settings) - known - _NOT_OURS)
    if unknown:
        raise ConfigError(
            "unknown key",
            where="models > train",
            expected=", ".join(sorted(known | _NOT_OURS)),
            got=", ".join(unknown),
            remedy="Correct its spelling or remove it.",
        )
    values = {key: value for key, value in settings.items() if key in known}
    if isinstance(values.get("checkpoints"), list):
        values["checkpoints"] = tuple(values["checkpoints"])
    return TrainingPlan(**values)
