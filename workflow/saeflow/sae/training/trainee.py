"""One set of weights in training: its optimizer, counters, log and checkpoint.

A trainee sees one batch after another from whoever drives the pass (`passes.py`) and knows
nothing of the others. What is fitted, and by which rule, is its `Objective`. Read `Trainee.train`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from saeflow.config.training import Training
from saeflow.errors import DataError, ModelError
from saeflow.sae.model import SAE
from saeflow.sae.saved.save import CONFIG_NAME, FILES, config, header_of, save
from saeflow.sae.schedule import learning_rate
from saeflow.sae.steps.step import Batch, State, Terms, Workspace
from saeflow.sae.training import checkpoint
from saeflow.sae.training.log import LOG_NAME, TrainLog
from saeflow.sae.training.optim import Adam, clip, normalise, remove_parallel
from saeflow.sae.training.sparsity import warn_if_not_sparse
from saeflow.task import Task
from saeflow.tracking import tracker

_RESULT = (*FILES, LOG_NAME)


class Revived(NamedTuple):
    """Dead latents that an objective gave new weights.

    Attributes
    ----------
    latents : Tensor (n,) int64
        Which.
    names : tuple[str, ...]
        The weights, one row of memory per latent, whose running means start anew there.
    """

    latents: Tensor
    names: tuple[str, ...]


class Objective(Protocol):
    """What is fitted: an architecture's SAE, or a fine-tuning method's part of one.

    A class that inherits from it has no buffers and leaves dead latents alone unless it says so.

    Attributes
    ----------
    name : str
        For messages.
    run : Training
        Batch size, tokens, schedule.
    d_in, d_sae : int
        Widths.
    unit_rows : tuple[str, ...]
        Weights whose rows have unit norm.
    buffers : tuple[str, ...]
        Weights that no gradient moves: the step changes them itself, if at all.
    """

    name: str
    run: Training
    d_in: int
    d_sae: int
    unit_rows: tuple[str, ...]
    buffers: tuple[str, ...] = ()

    def initial(self, batch: Batch) -> dict[str, Tensor]:
        """Return first weights, from a first batch."""

    def step(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        batch: Batch,
        state: State,
    ) -> Terms:
        """Write the gradients and return the loss' terms."""

    def revive(
        self,
        weights: Mapping[str, Tensor],  # noqa: ARG002
        dead: Tensor,  # noqa: ARG002
        *,
        tokens: int,  # noqa: ARG002
        batch: int,  # noqa: ARG002
        total: int,  # noqa: ARG002
    ) -> Revived | None:
        """Give dead latents new weights, in place, where that is due after ``tokens`` tokens."""
        return None

    def result(self, weights: Mapping[str, Tensor], training: Mapping[str, Any]) -> SAE:
        """Return the SAE that the weights make; ``training`` goes into its header."""


class Trainee:
    """An `Objective` in training, in the place of its result.

    Parameters
    ----------
    task
        The result; log and checkpoints are written where its bulk will be.
    objective
        What is fitted.

    Attributes
    ----------
    n_done, n_steps : int
        Steps done and wanted; ``n_steps`` is 0 until `plan`.
    loader_state : dict | None
        The loader's position at ``n_done``; None at the start.
    """

    def __init__(self, task: Task, objective: Objective) -> None:
        self.task, self.work, self.objective = task, task.work, objective
        self.run = objective.run
        self.n_done, self.n_steps = 0, 0
        self.loader_state: dict[str, Any] | None = None
        self.weights: dict[str, Tensor] = {}
        self._last_batch: Batch | None = None
        self.log = TrainLog(self.work.path, every=self.run.log_tokens, d_in=objective.d_in)

    def plan(self, n_available: int) -> None:
        """Decide the number of steps, given how many activations an epoch offers."""
        run = self.run
        limit = n_available * run.epochs
        tokens = limit if run.tokens is None else run.tokens
        if tokens > limit:
            raise DataError(
                "the training asks for more activations than there are",
                where=self.objective.name,
                expected=f"at most {limit:,} tokens"
                + (f" ({run.epochs} epochs of {n_available:,})" if run.epochs > 1 else ""),
                got=f"{tokens:,}",
                remedy="Lower its `tokens`, raise the packing's, or raise `epochs`.",
            )
        self.n_steps = tokens // run.batch_size
        if not self.n_steps and run.tokens != 0:
            raise DataError(
                "there are fewer activations than one batch holds",
                where=self.objective.name,
                expected=f"at least {run.batch_size:,}",
                got=f"{tokens:,}",
            )

    @property
    def trained(self) -> bool:
        """Whether the result is on disk: its cfg.json is written last."""
        return (self.work.path / CONFIG_NAME).is_file()

    def resume(self, device: torch.device) -> None:
        """Continue from the newest usable checkpoint, or start anew where there is none."""
        self._tracker = tracker(self.work.output, self.work.identity)
        for tensors, state in checkpoint.usable(self.work.path):
            if self.log.resume(state["log"]):
                self._restore(tensors, state, device)
                return
        self.work.restart()
        self.log.start()

    def _restore(
        self, tensors: Mapping[str, Tensor], state: Mapping[str, Any], device: torch.device
    ) -> None:
        tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
        self._build(_part(tensors, checkpoint.WEIGHTS))
        self._adam.load(_part(tensors, "moments/"), state["n_done"])
        self._silent = tensors["silent"]
        self.n_done, self.loader_state = state["n_done"], state["loader"]

    def save(self, loader_state: Mapping[str, Any]) -> None:
        """Write a checkpoint, a usable SAE with it; ``loader_state`` leads to the next batch."""
        tensors = {f"{checkpoint.WEIGHTS}{name}": w.cpu() for name, w in self.weights.items()}
        tensors |= {f"moments/{name}": m.cpu() for name, m in self._adam.moments.items()}
        tensors["silent"] = self._silent.cpu()
        sae = self.result()
        for name, w in sae.weights.items():
            if w is not self.weights.get(name):
                tensors[f"{checkpoint.SAE}{name}"] = w.cpu()
        state = {
            "n_done": self.n_done,
            "loader": dict(loader_state),
            "log": self.log.state(),
            "cfg": config(sae),
            "sae_weights": list(sae.weights),
        }
        checkpoint.save(self.work.path, tensors, state)

    def _build(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights
        moved = {name: w for name, w in weights.items() if name not in self.objective.buffers}
        self._gradients = {name: torch.zeros_like(w) for name, w in moved.items()}
        run = self.run
        self._adam = Adam(
            moved,
            self._gradients,
            betas=(run.adam_beta1, run.adam_beta2),
            epsilon=run.adam_epsilon,
        )
        device = next(iter(weights.values())).device
        self._silent = torch.zeros(self.objective.d_sae, dtype=torch.int64, device=device)

    def begin(self, batch: Batch) -> None:
        """Take the first weights from a first batch, unless there are weights."""
        self._last_batch = batch
        if not self.weights:
            self._build(self.objective.initial(batch))

    def train(self, batch: Batch, workspace: Workspace) -> None:
        """Do one step."""
        self.begin(batch)
        run, tokens = self.run, self.n_done * self.run.batch_size
        total = self.n_steps * run.batch_size
        rate = self._rate(tokens, len(batch), total)
        state = State(tokens, self._silent >= run.dead_tokens, workspace, total)
        terms = self.objective.step(self.weights, self._gradients, batch, state)
        self._check_finite(terms.loss)
        for name in self.objective.unit_rows:
            remove_parallel(self._gradients[name], self.weights[name])
        if run.clip_norm is not None:
            clip(self._gradients, run.clip_norm)
        self._adam.step(rate)
        for name in self.objective.unit_rows:
            normalise(self.weights[name])
        self._silent.add_(len(batch)).masked_fill_(terms.fired, 0)
        self.n_done += 1
        self._record(terms, batch, rate)
        self._revive(len(batch), total)

    def _rate(self, tokens: int, batch: int, total: int) -> float:
        run = self.run
        warmup, decay = run.schedule(total)
        return learning_rate(
            run.learning_rate,
            tokens=tokens,
            batch=batch,
            total=total,
            warmup=warmup,
            decay=decay,
            shape=run.decay_shape,
        )

    def _revive(self, batch: int, total: int) -> None:
        tokens, dead = self.n_done * self.run.batch_size, self._silent >= self.run.dead_tokens
        found = self.objective.revive(self.weights, dead, tokens=tokens, batch=batch, total=total)
        if found is None:
            return
        for name in found.names:
            self._adam.forget(name, found.latents)
        self._silent[found.latents] = 0

    def _record(self, terms: Terms, batch: Batch, rate: float) -> None:
        tokens = self.n_done * self.run.batch_size
        sums = {
            "n": len(batch),
            "loss": terms.loss,
            "penalty": terms.penalty,
            "error": terms.error,
            "variance": batch.variance,
            "active": terms.n_active,
        }
        row = {
            "step": self.n_done,
            "tokens": tokens,
            "dead": int((self._silent >= self.run.dead_tokens).sum()),
            "learning_rate": rate,
        }
        if self.log.add(sums, row, last=self.n_done == self.n_steps):
            self._tracker.log(self.log.last)

    def _check_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise ModelError(
                "the loss is not finite: the training diverged",
                where=f"{self.objective.name} > step {self.n_done + 1}",
                got=loss,
                remedy="Lower its learning_rate; the last checkpoint is kept.",
            )

    def result(self) -> SAE:
        """Return the SAE that the weights make now."""
        training = {"tokens": self.n_done * self.run.batch_size, "final": self.log.last}
        return self.objective.result(self.weights, training)

    def finish(self) -> None:
        """Write the result, unless it is there, and complete the work."""
        if not self.trained:
            self.log.flush()
            x, target = self._last_batch.x, self._last_batch.target
            save(self.result(), self.work.path, x, target=None if target is x else target)
            self._tracker.close()
        for file in self.work.path.iterdir():
            if file.name not in _RESULT:  # the checkpoint, and what a kill left of writing one
                file.unlink()
        header = header_of(self.work.path)
        warn_if_not_sparse(self.task, header)
        self.task.finish(header)


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with ``prefix``, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
