"""A part of a model, as a view that shares its weights: the first blocks, the last, the head.

A slice is a shallow copy of the model in which some blocks are stand-ins. It keeps the number of
blocks, so that whatever a model looks up by index (layer types, window sizes) stays right.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions

from saeflow.models.hooks import Hook, Take, block_list, block_modules, capture, check_hooks


class Skip(nn.Module):
    """Stands for a block that is left out: gives back what it gets.

    Parameters
    ----------
    as_tuple
        Whether the model's blocks return a tuple (GPT-Neo) rather than a tensor.
    """

    def __init__(self, as_tuple: bool = False) -> None:
        super().__init__()
        self.as_tuple = as_tuple

    def forward(self, hidden_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Return ``hidden_states`` (batch, seq, d)."""
        return (hidden_states,) if self.as_tuple else hidden_states


class Feed(Skip):
    """Stands for everything before some point: puts ``value`` there, whatever it gets.

    Since what the model computed before is dropped, it does not matter what a family does to
    ``inputs_embeds`` first (GPT-2 adds its position embedding, others scale).

    Parameters
    ----------
    block
        The block to feed with ``value``; None to hand it on.
    as_tuple
        As in `Skip`.
    """

    def __init__(self, block: nn.Module | None, as_tuple: bool = False) -> None:
        super().__init__(as_tuple)
        self.block = block
        self.value: torch.Tensor | None = None

    def forward(self, _: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Ignore what comes and return ``value``, or the block's answer to it."""
        if self.block is None:
            return super().forward(self.value)
        return self.block(self.value, *args, **kwargs)


class _Passed(nn.Module):
    """Stands for the whole base model: its answer is what it is fed."""

    def forward(
        self, *_: Any, inputs_embeds: torch.Tensor, **__: Any
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=inputs_embeds)


def _with_modules(module: nn.Module, changed: Mapping[str, nn.Module]) -> nn.Module:
    """Return a shallow copy of ``module`` with some of its direct children exchanged."""
    view = copy.copy(module)
    view.__dict__["_modules"] = {**module._modules, **changed}
    return view


def base_with_blocks(model: nn.Module, blocks: Sequence[nn.Module]) -> nn.Module:
    """Return a view of the base model (without LM head) that runs ``blocks`` instead of its own."""
    base, name = block_list(model)
    return _with_modules(base, {name: nn.ModuleList(blocks)})


def forward_arguments(attention_mask: torch.Tensor | None) -> dict[str, Any]:
    """Return the keyword arguments that every forward pass of saeflow shares.

    Parameters
    ----------
    attention_mask : Tensor (batch, seq), optional
        1 for tokens, 0 for padding. Right-padded batches of a causal model need none, and
        without it the same attention kernel serves every batch.

    Notes
    -----
    Positions count from the first token that is not padding: Hugging Face's own forward counts
    from the left edge, which gives left-padded text other (GPT-2: wrong) position embeddings.
    """
    if attention_mask is None:
        return {"use_cache": False}
    positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
    return {"attention_mask": attention_mask, "position_ids": positions, "use_cache": False}


def final_states(
    model: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Run the model without its LM head.

    Parameters
    ----------
    input_ids : Tensor (batch, seq) int64
    attention_mask : Tensor (batch, seq), optional

    Returns
    -------
    Tensor (batch, seq, d_model)
        After the final norm: what the LM head reads. Not a hook's value.
    """
    return model.base_model(input_ids, **forward_arguments(attention_mask)).last_hidden_state


@torch.no_grad()
def run_until(
    model: nn.Module,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None,
    hooks: Sequence[Hook],
    take: Take | None = None,
) -> dict[Hook, Any]:
    """Return the activations at ``hooks``, computing no block after the last one needed.

    Parameters
    ----------
    input_ids : Tensor (batch, seq) int64
    attention_mask : Tensor (batch, seq) or None
    hooks
        Any hooks of the model.
    take
        Called with each hook and its value at once; what it returns stands in the result.

    Returns
    -------
    dict
        hook -> Tensor (batch, seq, d).
    """
    check_hooks(model, hooks)
    blocks = block_modules(model)
    needed = max(hook.block for hook in hooks) + 1
    part = base_with_blocks(model, blocks[:needed])
    with capture(part, hooks, take) as found:
        part(input_ids, **forward_arguments(attention_mask))
    return found


class Head:
    """The LM head as a function of the final states, with whatever the model does after it.

    Parameters
    ----------
    model
        The model whose head it is (soft-capped and scaled logits included).
    """

    def __init__(self, model: nn.Module) -> None:
        self._view = _with_modules(model, {model.base_model_prefix: _Passed()})

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Map final states (..., d_model) to logits (..., vocab_size)."""
        flat = states.reshape(1, -1, states.shape[-1]) if states.dim() != 3 else states
        logits = self._view(inputs_embeds=flat).logits
        return logits.reshape(*states.shape[:-1], logits.shape[-1])
