"""One set of weights in training: its descent, log and checkpoint.

A trainee sees one batch after another from whoever drives the pass (`passes.py`) and knows
nothing of the others. What is fitted, and by which rule, is its `Objective`. Read `Trainee.train`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saeflow.config.training import Training
from saeflow.errors import DataError
from saeflow.sae.model import SAE
from saeflow.sae.saved.save import CONFIG_NAME, FILES, config, header_of, save
from saeflow.sae.steps.step import Batch, Terms, Weights, Workspace
from saeflow.sae.training import checkpoint
from saeflow.sae.training.descent import Descent, Objective
from saeflow.sae.training.log import LOG_NAME, TrainLog
from saeflow.sae.training.sparsity import warn_if_not_sparse
from saeflow.task import Task
from saeflow.tracking import tracker

_RESULT = (*FILES, LOG_NAME)


def planned_steps(run: Training, n_available: int, *, where: str) -> int:
    """Return the steps of a run, given how many activations an epoch offers.

    Raises
    ------
    DataError
        If it asks for more activations than there are, or has not one batch.
    """
    limit = n_available * run.epochs
    tokens = limit if run.tokens is None else run.tokens
    if tokens > limit:
        raise DataError(
            "the training asks for more activations than there are",
            where=where,
            expected=f"at most {limit:,} tokens"
            + (f" ({run.epochs} epochs of {n_available:,})" if run.epochs > 1 else ""),
            got=f"{tokens:,}",
            remedy="Lower its `tokens`, raise the packing's, or raise `epochs`.",
        )
    n_steps = tokens // run.batch_size
    if not n_steps and run.tokens != 0:
        raise DataError(
            "there are fewer activations than one batch holds",
            where=where,
            expected=f"at least {run.batch_size:,}",
            got=f"{tokens:,}",
        )
    return n_steps


class Trainee:
    """An `Objective` in training, in the place of the ``task``'s result.

    An epoch offers ``n_available`` activations.

    Attributes
    ----------
    n_done, n_steps : int
        Steps done and wanted.
    loader_state : dict | None
        The loader's position at ``n_done``; None at the start.
    """

    def __init__(self, task: Task, objective: Objective, n_available: int) -> None:
        self.task, self.work, self.objective = task, task.work, objective
        self.run = objective.run
        self.n_done = 0
        self.n_steps = planned_steps(self.run, n_available, where=objective.name)
        self.loader_state: dict[str, Any] | None = None
        self._descent: Descent | None = None
        self._last_batch: Batch | None = None
        self.log = TrainLog(self.work.path, every=self.run.log_tokens, d_in=objective.d_in)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights as they are now; none before the first batch."""
        return {} if self._descent is None else self._descent.weights

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
        self.work.restart(keep=self.objective.kept)
        self.log.start()

    def _restore(self, tensors: Weights, state: Mapping[str, Any], device: torch.device) -> None:
        tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
        self._descent = Descent(self.objective, _part(tensors, checkpoint.WEIGHTS))
        self._descent.adam.load(_part(tensors, "moments/"), state["n_done"])
        self._descent.silent = tensors["silent"]
        self.n_done, self.loader_state = state["n_done"], state["loader"]

    def save(self, loader_state: Mapping[str, Any]) -> None:
        """Write a checkpoint, a usable SAE with it; ``loader_state`` leads to the next batch."""
        tensors = {f"{checkpoint.WEIGHTS}{name}": w.cpu() for name, w in self.weights.items()}
        tensors |= {f"moments/{name}": m.cpu() for name, m in self._descent.adam.moments.items()}
        tensors["silent"] = self._descent.silent.cpu()
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

    def begin(self, batch: Batch) -> None:
        """Take the first weights from a first batch, unless there are weights."""
        self._last_batch = batch
        if self._descent is None:
            self._descent = Descent(self.objective, self.objective.initial(batch))

    def train(self, batch: Batch, workspace: Workspace) -> None:
        """Do one step."""
        self.begin(batch)
        terms, rate = self._descent.step(batch, workspace, n_done=self.n_done, n_steps=self.n_steps)
        self.n_done += 1
        self._record(terms, batch, rate)
        self._revive(len(batch))

    def _revive(self, batch: int) -> None:
        self._descent.revive(batch, n_done=self.n_done, n_steps=self.n_steps)

    def _record(self, terms: Terms, batch: Batch, rate: float) -> None:
        tokens = self.n_done * self.run.batch_size
        sums = {
            "n": len(batch),
            "loss": terms.loss,
            "penalty": terms.penalty,
            "error": terms.error,
            "variance": self.objective.judged(batch).variance,
            "active": terms.n_active,
        }
        row = {
            "step": self.n_done,
            "tokens": tokens,
            "dead": self._descent.n_dead,
            "learning_rate": rate,
        }
        if self.log.add(sums, row, last=self.n_done == self.n_steps):
            self._tracker.log(self.log.last)

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


def _part(tensors: Weights, prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with ``prefix``, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
