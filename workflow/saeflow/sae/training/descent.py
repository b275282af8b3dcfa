"""Weights on their way down a loss: gradients, Adam, unit norms, and who was silent how long.

What is minimised is an `Objective`. `Trainee` lets one end as a result; a search for a coefficient
lets several go a short way. Read `Descent.step`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from saeflow.config.training import Training
from saeflow.errors import ModelError
from saeflow.sae.model import SAE
from saeflow.sae.schedule import learning_rate
from saeflow.sae.steps.step import Batch, State, Terms, Weights, Workspace
from saeflow.sae.training.optim import Adam, clip, normalise, remove_parallel


class Revived(NamedTuple):
    """Dead latents that an objective gave new weights.

    Which, (n,) int64, and the names of the weights, one row of memory per latent, whose running
    means start anew there.
    """

    latents: Tensor
    names: tuple[str, ...]


class Objective(Protocol):
    """What is fitted: an architecture's SAE, or a fine-tuning method's part of one.

    A class that inherits from it has no buffers and leaves dead latents alone unless it says so.

    Attributes
    ----------
    run : Training
        Batch size, tokens, schedule.
    unit_rows : tuple[str, ...]
        Weights whose rows have unit norm.
    buffers : tuple[str, ...]
        Weights that no gradient moves: the step changes them itself, if at all.
    kept : tuple[str, ...]
        Files beside the checkpoint that a training that starts anew leaves alone.
    """

    name: str
    run: Training
    d_in: int
    d_sae: int
    unit_rows: tuple[str, ...]
    buffers: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def initial(self, batch: Batch) -> dict[str, Tensor]:
        """Return first weights, from a first batch."""

    def step(self, weights: Weights, gradients: Weights, batch: Batch, state: State) -> Terms:
        """Write the gradients and return the loss' terms."""

    def judged(self, batch: Batch) -> Batch:
        """Return what the errors of a step are errors of: the batch itself."""
        return batch

    def revive(
        self,
        weights: Weights,  # noqa: ARG002
        dead: Tensor,  # noqa: ARG002
        *,
        tokens: int,  # noqa: ARG002
        batch: int,  # noqa: ARG002
        total: int,  # noqa: ARG002
    ) -> Revived | None:
        """Give dead latents new weights, in place, where that is due after ``tokens`` tokens."""
        return None

    def result(self, weights: Weights, training: Mapping[str, Any]) -> SAE:
        """Return the SAE that the weights make; ``training`` goes into its header."""


class Descent:
    """The weights of an `Objective` while they are fitted: they are moved in place.

    Attributes
    ----------
    adam : Adam
        Of those that are no buffers.
    silent : Tensor (d_sae,) int64
        Tokens since each latent was active.
    """

    def __init__(self, objective: Objective, weights: dict[str, Tensor]) -> None:
        self.objective, self.weights = objective, weights
        moved = {name: w for name, w in weights.items() if name not in objective.buffers}
        self._gradients = {name: torch.zeros_like(w) for name, w in moved.items()}
        run = objective.run
        self.adam = Adam(
            moved,
            self._gradients,
            betas=(run.adam_beta1, run.adam_beta2),
            epsilon=run.adam_epsilon,
        )
        device = next(iter(weights.values())).device
        self.silent = torch.zeros(objective.d_sae, dtype=torch.int64, device=device)

    def step(
        self, batch: Batch, workspace: Workspace, *, n_done: int, n_steps: int
    ) -> tuple[Terms, float]:
        """Do a step after ``n_done`` of ``n_steps``; return its terms and the learning rate.

        Raises
        ------
        ModelError
            If the loss is not finite.
        """
        run, size = self.objective.run, self.objective.run.batch_size
        tokens, total = n_done * size, n_steps * size
        warmup, decay = run.schedule(total)
        rate = learning_rate(
            run.learning_rate,
            tokens=tokens,
            batch=len(batch),
            total=total,
            warmup=warmup,
            decay=decay,
            shape=run.decay_shape,
        )
        state = State(tokens, self.silent >= run.dead_tokens, workspace, total)
        terms = self.objective.step(self.weights, self._gradients, batch, state)
        if not math.isfinite(terms.loss):
            raise ModelError(
                "the loss is not finite: the training diverged",
                where=f"{self.objective.name} > step {n_done + 1}",
                got=terms.loss,
                remedy="Lower its learning_rate; the last checkpoint is kept.",
            )
        for name in self.objective.unit_rows:
            remove_parallel(self._gradients[name], self.weights[name])
        if run.clip_norm is not None:
            clip(self._gradients, run.clip_norm)
        self.adam.step(rate)
        for name in self.objective.unit_rows:
            normalise(self.weights[name])
        self.silent.add_(len(batch)).masked_fill_(terms.fired, 0)
        return terms, rate

    def revive(self, batch: int, *, n_done: int, n_steps: int) -> None:
        """Give dead latents new weights where that is due after ``n_done`` steps."""
        run = self.objective.run
        tokens, dead = n_done * run.batch_size, self.silent >= run.dead_tokens
        total = n_steps * run.batch_size
        found = self.objective.revive(self.weights, dead, tokens=tokens, batch=batch, total=total)
        if found is None:
            return
        for name in found.names:
            self.adam.forget(name, found.latents)
        self.silent[found.latents] = 0

    @property
    def n_dead(self) -> int:
        """Latents that were silent for ``dead_tokens`` tokens."""
        return int((self.silent >= self.objective.run.dead_tokens).sum())
