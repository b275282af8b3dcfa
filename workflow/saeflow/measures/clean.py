"""What the model makes of the activations of its hooks, and of ablations, for all that follows.

One pass of the whole model serves every hook: the losses with stored activations are held against
its own. `measure_clean` is the job, `clean_losses` the measurement.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from saeflow import device
from saeflow.errors import ModelError, SaeflowError
from saeflow.files import read_json
from saeflow.logs import progress
from saeflow.measures.encoders import finish_each
from saeflow.measures.exchange import Exchange, Marked, Stored, evaluated_tokens, stored
from saeflow.measures.losses import Losses
from saeflow.measures.reconstruction import evaluated, mean_activation
from saeflow.models.hooks import Hook, block_modules, capture
from saeflow.models.patched import PatchedModel
from saeflow.models.slices import Head, final_states
from saeflow.task import Task
from saeflow.tokens.sequences import BATCH_TOKENS, Sequences

logger = logging.getLogger(__name__)


def measure_clean(tasks: Sequence[Task]) -> None:
    """Measure hooks of one model and finish their tasks.

    Inputs: ``model`` and the ``tokens`` to predict; ``activations`` of each task's hook on these
    tokens. Settings: ``tokens``, how many; None for all. Works get `Losses`; records say how much
    the losses with stored activations differ from the running model's: ``storage_error_max``, the
    largest absolute difference of a token's log-probability, and ``storage_error_mean``, the mean
    added loss, both in nats.
    """
    from saeflow.models.load import load_model_once

    inputs, limit = tasks[0].inputs, tasks[0].settings["tokens"]
    tokens = evaluated_tokens(inputs["tokens"], limit)
    model = load_model_once(inputs["model"], device.pick())
    usable, sources = [], []
    for task in tasks:
        with task.attempt():
            losses = Losses.make(task.work.path, tokens)
            sources.append(_source(model, task.inputs, losses))
            usable.append(task)
    clean_losses(model, sources, tokens)
    n_documents = len(np.unique(tokens.documents[tokens.scored]))

    def write(task: Task, source: Source) -> None:
        source.losses.flush()
        task.finish({"limit": limit, "n_documents": n_documents, **source.facts})
        logger.info(
            "%s: activations as they are stored add %.2g nats/token to the model's own loss,"
            " and change the log-probability of a token by at most %.2g",
            *(source.hook, source.facts["storage_error_mean"], source.facts["storage_error_max"]),
        )

    finish_each(usable, [source.error or source for source in sources], write)


def _source(model: nn.Module, inputs: Mapping[str, Path], losses: Losses) -> Source:
    activations = inputs["activations"]
    hook = Hook.parse(read_json(activations)["hook"])
    store = stored(inputs["tokens"], activations).get(hook)
    mean = torch.from_numpy(mean_activation(evaluated(activations))).float().to(model.device)
    return Source(PatchedModel(model, hook), mean, store, losses)


class Source:
    """A hook: what stands there, and the losses that the model has with it.

    Parameters
    ----------
    patched
        The model with this hook.
    mean : Tensor (d,) float32
        What mean ablation puts in the place of activations.
    store
        Where the activations are kept; None where the running model gives them.
    losses
        Where to keep what is measured.

    Attributes
    ----------
    error : SaeflowError or None
        Why it cannot be measured.
    """

    def __init__(
        self, patched: PatchedModel, mean: torch.Tensor, store: Stored | None, losses: Losses
    ) -> None:
        self._patched, self._mean, self._store = patched, mean, store
        self.hook, self.losses = patched.hook, losses
        self._n, self._added, self._largest = 0, 0.0, 0.0
        self.error: SaeflowError | None = None

    @property
    def captured(self) -> list[Hook]:
        """What is taken from the running model."""
        hooks = [] if self._store else [self.hook]
        return [*hooks, self._patched.below] if self._patched.needs_resid_pre else hooks

    @property
    def facts(self) -> dict[str, float]:
        """What the record says; storage errors are explained at `measure_clean`."""
        return {
            "n_tokens": self._n,
            "storage_error_mean": self._added / self._n,
            "storage_error_max": self._largest,
        }

    def measure(
        self, tokens: Marked, found: Mapping[Hook, torch.Tensor], running: np.ndarray
    ) -> None:
        """Measure a batch, given activations and losses (n_scored,) of the running model."""
        patched, ids = self._patched, tokens.batch.input_ids
        x = self._store.of(tokens.batch) if self._store else found[self.hook]
        clean = patched.resume(ids, x, resid_pre=found.get(patched.below))
        part = Exchange(patched, tokens, clean)
        losses = {"ce_clean": part.losses(part.states)}
        for name, value in (("ce_zero", torch.zeros_like(self._mean)), ("ce_mean", self._mean)):
            losses[name] = self._ablated(part, value, losses["ce_clean"])
        self._check(losses)
        self.losses.put(tokens.scored, losses)
        added = losses["ce_clean"] - running
        self._n += len(added)
        self._added += float(added.sum())
        self._largest = max(self._largest, float(np.abs(added).max(initial=0.0)))

    def _ablated(self, part: Exchange, value: torch.Tensor, own: np.ndarray) -> np.ndarray:
        """Return the losses with one value (d,) in all ordinary rows.

        Where nothing mixes tokens behind the hook, one distribution predicts what follows any of
        these rows, and what follows a special one is predicted as without the exchange.
        """
        if self.hook != Hook("resid_post", len(block_modules(self._patched.model)) - 1):
            return part.losses(part.states_with(value.expand_as(part.own)))
        ids = part.tokens.batch.input_ids[:1, :1]
        one = self._patched.states(value[None, None], part.clean, ids)
        log_p = self._patched.head(one)[0, 0].float().log_softmax(-1)
        found = -log_p[part.tokens.targets].double().cpu().numpy()
        ordinary = np.isin(part.tokens.scored - 1, part.tokens.replaced, assume_unique=True)
        return np.where(ordinary, found, own)

    def _check(self, losses: Mapping[str, np.ndarray]) -> None:
        """Refuse losses that are not numbers."""
        for name, values in losses.items():
            if not np.isfinite(values).all():
                raise ModelError(
                    "the model's predictions are not numbers with other activations in place",
                    where=f"{self.hook}, {name}",
                    got=f"{np.sum(~np.isfinite(values))} of {len(values)} losses are NaN or"
                    " infinite",
                    remedy="Leave this hook out of the study's `hooks`.",
                )


@torch.no_grad()
def clean_losses(
    model: nn.Module,
    sources: Sequence[Source],
    tokens: Sequences,
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> None:
    """Measure hooks of a model in evaluation mode, in one pass over the tokens.

    A source that fails gets an ``error`` and is left out from then on. ``batch_tokens``, tokens in
    a forward pass, changes nothing but rounding.
    """
    head, hooks = Head(model), list(dict.fromkeys(h for s in sources for h in s.captured))
    for batch in progress(tokens.batches(batch_tokens), desc="clean", unit="batches"):
        marked = Marked(batch.to(model.device))
        with capture(model, hooks) as found:
            states = final_states(model, marked.batch.input_ids)
        running = marked.losses(head, marked.predicting(states))
        for source in (source for source in sources if source.error is None):
            try:
                source.measure(marked, found, running)
            except SaeflowError as error:
                source.error = error
