"""Gradient steps on the error and on what it does to the model's predictions.

    loss = MSE + (MSE / KL) KL

with KL the divergence of the model's predictions with x_hat in place of x from its own, per
scored token, and the ratio of the two terms held constant in the gradient, so that both count
alike at every step (Karvonen 2025, "Revisiting end-to-end sparse autoencoder training"). The
model runs in every step; the rows that are replaced and the predictions that are scored are those
of the language measure. Read `run`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saeflow.activations.reader import open_store
from saeflow.config.training import Run
from saeflow.device import pick
from saeflow.errors import ConfigError
from saeflow.finetune.squared_error import SquaredError
from saeflow.finetune.tune import TuneObjective, load_parent
from saeflow.models.hooks import Hook
from saeflow.models.load import load_model_once
from saeflow.models.loss import CHUNK_LOGITS, kl_divergence, scored_tokens
from saeflow.models.patched import CleanPass, PatchedModel
from saeflow.sae.model import SAE
from saeflow.sae.steps.step import Batch, State, Terms, Weights, sum_of_squares
from saeflow.sae.training import passes
from saeflow.sae.training.rows import SPLIT, kept_rows
from saeflow.sae.training.sweep import plan_trainees
from saeflow.task import Task
from saeflow.tokens.sequences import Sequences, sequences_of
from saeflow.tokens.store import open_tokens


class ModelBatch(Batch):
    """The ordinary tokens of some sequences, and the model's clean pass over them.

    Of all tokens (batch, seq), ``ordinary`` are those that are replaced, and ``before`` those from
    which the scored ones are predicted.
    """

    def __init__(self, input_ids: Tensor, real: Tensor, ordinary: Tensor, clean: CleanPass) -> None:
        super().__init__(clean.x[ordinary])
        self.input_ids, self.ordinary, self.clean = input_ids, ordinary, clean
        scored = scored_tokens(real, ~ordinary)
        self.before = torch.zeros_like(scored)
        self.before[:, :-1] = scored[:, 1:]


class SequenceLoader:
    """Batches of whole sequences in a random order, each once an epoch.

    A batch is ``run.batch_size`` tokens, special ones included, rounded down to whole sequences of
    the greatest length (at least one); ``run.order_seed`` is of the order, ``start`` a position
    that `state` gave.
    """

    def __init__(
        self,
        patched: PatchedModel,
        sequences: Sequences,
        run: Run,
        epochs: int,
        start: Mapping[str, Any] | None,
    ) -> None:
        self._patched, self._sequences, self._run = patched, sequences, run
        self._epochs, self._given = epochs, start["batches"] if start else 0
        self._n = max(1, run.batch_size // int(np.diff(sequences.offsets).max()))

    def state(self) -> dict[str, int]:
        """Return the number of batches that were given."""
        return {"batches": self._given}

    def __iter__(self) -> Iterator[ModelBatch]:
        """Yield the batches that were not given yet."""
        n_sequences, device = len(self._sequences.offsets) - 1, pick()
        per_epoch = -(-n_sequences // self._n)
        while self._given < per_epoch * self._epochs:
            epoch, number = divmod(self._given, per_epoch)
            order = np.random.default_rng([self._run.order_seed, epoch]).permutation(n_sequences)
            found = self._sequences.take(order[number * self._n : (number + 1) * self._n])
            ids, real, ordinary = (part.to(device) for part in found[:3])
            self._given += 1
            with torch.no_grad():
                clean = self._patched.clean(ids)
            yield ModelBatch(ids, real, ordinary, clean)


class ModelObjective(TuneObjective):
    """A trained SAE to be fitted with the model in the loop."""

    def __init__(self, task: Task, parent: SAE, patched: PatchedModel) -> None:
        super().__init__(task, parent)
        if not isinstance(self.fit, SquaredError):
            raise ConfigError(
                "the baseline has a loss of its own",
                where=self.name,
                remedy="Use another method, or the solver `steps`.",
            )
        self._patched = patched

    def step(self, weights: Weights, gradients: Weights, batch: ModelBatch, state: State) -> Terms:
        """Write the gradients of the loss and return its terms; the penalty is KL's part."""
        forward = self.fit.forward(weights, batch, self.codes(batch), state.workspace)
        kl, d_kl = self._divergence(forward.x_hat, batch)
        error = forward.x_hat.sub_(batch.target)
        total = sum_of_squares(error)
        mse = total / error.numel()
        d_x_hat = error.mul_(2 / error.numel())
        share = mse / kl if kl > 0 else 0.0
        d_x_hat.add_(d_kl, alpha=share)
        self.fit.backward(weights, gradients, batch, forward, d_x_hat)
        codes = forward.codes
        fired = codes.by_latent.counts > 0
        return Terms(mse + share * kl, total, share * kl, codes.n_active, fired)

    def _divergence(self, x_hat: Tensor, batch: ModelBatch) -> tuple[float, Tensor]:
        """Return the mean divergence per scored token, and its gradient (n, d_in)."""
        leaf = x_hat.detach().clone().requires_grad_()
        patched, head = self._patched, self._patched.head
        with torch.enable_grad():
            exchanged = batch.clean.x.masked_scatter(batch.ordinary[..., None], leaf)
            states = patched.states(exchanged, batch.clean, batch.input_ids)[batch.before]
        clean = batch.clean.states[batch.before]
        # Logits of one chunk of tokens at a time; their gradients meet in the states.
        state_leaf = states.detach().requires_grad_()
        total, n_rows = 0.0, max(1, CHUNK_LOGITS // head(clean[:1]).shape[-1])
        for start in range(0, len(clean), n_rows):
            rows = slice(start, start + n_rows)
            with torch.enable_grad():
                kl = kl_divergence(head(clean[rows]), head(state_leaf[rows])).sum() / len(clean)
            kl.backward()
            total += float(kl.detach())
        (gradient,) = torch.autograd.grad(states, leaf, state_leaf.grad)
        return total, gradient


def run(tasks: Sequence[Task], *, checkpoint_s: float) -> None:
    """Fine-tune the SAE of each task; see `saeflow.finetune.sweep.finetune_sweep`."""
    inputs, load = tasks[0].inputs, cache(load_parent)
    sequences = sequences_of(open_tokens(inputs["tokens"]), SPLIT)
    with open_store(inputs["activations"]) as store:
        patched = PatchedModel(load_model_once(inputs["model"], pick()), Hook.parse(store.hook))

        def make(task: Task) -> ModelObjective:
            return ModelObjective(task, load(task.inputs["parent"], inputs["activations"]), patched)

        passes.run(
            plan_trainees(tasks, make, len(kept_rows(store))),
            lambda *position: SequenceLoader(patched, sequences, *position),
            hook=store.hook,
            checkpoint_s=checkpoint_s,
        )
