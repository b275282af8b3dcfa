"""A model, and the same model with the activations of one hook exchanged, or of several.

One clean pass serves every exchange, or none where the hook's activations are stored; after that
only the part of the model behind the hook runs, where the model allows it. Read `PatchedModel`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import nn

from saeflow.errors import ModelError
from saeflow.models.hooks import Hook, capture, replace
from saeflow.models.slices import Head, final_states, run_until
from saeflow.models.tail import Tail

logger = logging.getLogger(__name__)


class CleanPass(NamedTuple):
    """The untouched model on one batch, as far as exchanges need it.

    Attributes
    ----------
    states : Tensor (batch, seq, d_model) or None
        Final states; None where the model was not run behind the hook.
    x : Tensor (batch, seq, d_in)
        Activations at the hook, float32.
    resid_pre : Tensor (batch, seq, d_model) or None
        The input of the hook's block; None where no exchange needs it.
    read : Tensor (batch, seq, d_in)
        What SAEs read, float32: ``x``, or for transcoders the activations at another hook.
    attention_mask : Tensor (batch, seq) or None
        1 for tokens, 0 for padding; None where there is none, or on the right only.
    """

    states: torch.Tensor | None
    x: torch.Tensor
    resid_pre: torch.Tensor | None
    read: torch.Tensor
    attention_mask: torch.Tensor | None = None


class PatchedModel:
    """A model, and the same model with other activations.

    Parameters
    ----------
    model
        A causal language model in eval mode.
    hook
        Where activations are exchanged, or the first of several places.
    reads
        Where the SAEs read; None for the same place.

    Attributes
    ----------
    below : Hook
        The input of the hook's block.
    """

    def __init__(self, model: nn.Module, hook: Hook, reads: Hook | None = None) -> None:
        self.model, self.hook, self.head = model, hook, Head(model)
        self.reads = reads or hook
        self.below = Hook("resid_pre", hook.block)
        self._tail: Tail | None = None
        try:
            self._tail = Tail(model, hook)
        except ModelError as error:
            logger.warning("%s Every variant takes a whole forward pass.", error)

    @property
    def needs_resid_pre(self) -> bool:
        """Whether an exchange needs the input of the hook's block, as at outputs of its parts."""
        return self._tail is not None and self._tail.needs_resid_pre

    def clean(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> CleanPass:
        """Run the untouched model on ``input_ids`` (batch, seq), padded as the mask says."""
        hooks = dict.fromkeys([self.hook, self.below, self.reads])
        with capture(self.model, list(hooks)) as found:
            states = final_states(self.model, input_ids, attention_mask)
        values = (found[hook] for hook in (self.hook, self.below, self.reads))
        return CleanPass(states, *values, attention_mask)

    def resume(
        self,
        input_ids: torch.Tensor,
        x: torch.Tensor,
        read: torch.Tensor | None = None,
        resid_pre: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> CleanPass:
        """Return what an exchange needs of a clean pass that was made before.

        Parameters are those of a `CleanPass`: ``x`` at padding on the right is of no importance if
        it is finite, ``read`` is ``x`` by default, and ``resid_pre`` is computed where it is needed
        and not given. The mask is for padding on the left.
        """
        if self.needs_resid_pre and resid_pre is None:
            found = run_until(self.model, input_ids, attention_mask, [self.below])
            resid_pre = found[self.below]
        return CleanPass(None, x, resid_pre, x if read is None else read, attention_mask)

    def states(
        self,
        x: torch.Tensor,
        clean: CleanPass,
        input_ids: torch.Tensor,
        *,
        also: Mapping[Hook, Callable[[torch.Tensor], torch.Tensor]] = {},
    ) -> torch.Tensor:
        """Return the final states (batch, seq, d_model) with ``x`` in the place of activations.

        Parameters
        ----------
        x, clean
            What stands at the hook (batch, seq, d_in), and the clean pass of these ``input_ids``.
        also
            What is exchanged behind the hook in the same run: hook -> function of the activations
            there, which earlier exchanges have changed, to those that take their place.
        """
        with ExitStack() as stack:
            for hook, function in also.items():
                self._check_behind(hook)
                stack.enter_context(replace(self.model, hook, function))
            if self._tail is not None:
                below = clean.resid_pre if self.needs_resid_pre else None
                return self._tail.states(x, input_ids, clean.attention_mask, resid_pre=below)
            stack.enter_context(replace(self.model, self.hook, lambda _: x))
            return final_states(self.model, input_ids, clean.attention_mask)

    def _check_behind(self, hook: Hook) -> None:
        if not self.hook < hook:
            raise ModelError(
                "what is exchanged besides must lie behind the hook from which the model runs",
                where=str(self.hook),
                expected="a later hook",
                got=str(hook),
            )
