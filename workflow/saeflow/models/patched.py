"""A model, and the same model with the activations of one hook exchanged.

One clean pass serves every exchange; after that only the part of the model behind the hook runs,
where the model allows it. Read `PatchedModel`.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import torch
from torch import nn

from saeflow.errors import ModelError
from saeflow.models.hooks import Hook, capture, replace
from saeflow.models.slices import Head, final_states
from saeflow.models.tail import Tail

logger = logging.getLogger(__name__)


class CleanPass(NamedTuple):
    """The untouched model on one batch.

    Attributes
    ----------
    states : Tensor (batch, seq, d_model)
        Final states.
    x : Tensor (batch, seq, d_in)
        Activations at the hook, float32.
    resid_pre : Tensor (batch, seq, d_model)
        The input of the hook's block.
    read : Tensor (batch, seq, d_in)
        What SAEs read, float32: ``x``, or for transcoders the activations at another hook.
    """

    states: torch.Tensor
    x: torch.Tensor
    resid_pre: torch.Tensor
    read: torch.Tensor


class PatchedModel:
    """A model, and the same model with the activations of one hook exchanged.

    Parameters
    ----------
    model
        A causal language model in eval mode.
    hook
        Where the activations are exchanged.
    reads
        Where the SAEs read; None for the same place.
    """

    def __init__(self, model: nn.Module, hook: Hook, reads: Hook | None = None) -> None:
        self.model, self.hook, self.head = model, hook, Head(model)
        self.reads = reads or hook
        self._below = Hook("resid_pre", hook.block)
        self._tail: Tail | None = None
        try:
            self._tail = Tail(model, hook)
        except ModelError as error:
            logger.warning("%s Every variant takes a whole forward pass.", error)

    def clean(self, input_ids: torch.Tensor) -> CleanPass:
        """Run the untouched model on ``input_ids`` (batch, seq)."""
        hooks = dict.fromkeys([self.hook, self._below, self.reads])
        with capture(self.model, list(hooks)) as found:
            states = final_states(self.model, input_ids)
        return CleanPass(states, found[self.hook], found[self._below], found[self.reads])

    def states(self, x: torch.Tensor, clean: CleanPass, input_ids: torch.Tensor) -> torch.Tensor:
        """Return the final states with ``x`` (batch, seq, d_in) at the hook."""
        if self._tail is not None:
            resid_pre = clean.resid_pre if self._tail.needs_resid_pre else None
            return self._tail.states(x, input_ids, resid_pre=resid_pre)
        with replace(self.model, self.hook, lambda _: x):
            return final_states(self.model, input_ids)
