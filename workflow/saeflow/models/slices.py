"""A part of a model, as a view that shares its weights: the first blocks, the last, the head.

A slice is a shallow copy of the model in which some modules are stand-ins. It keeps the number of
blocks, so that whatever a model looks up by index (layer types, window sizes) stays right.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from saeflow.models.hooks import Hook, Take, block_modules, capture, check_hooks, layout_of
from saeflow.models.layout import forward_arguments
from saeflow.models.points import get_input, get_output, with_output


class StandIn(nn.Module):
    """Stands for a module, whose attributes it has: answers in its form, computing nothing.

    Parameters
    ----------
    module, output
        What it stands for, and an output of it: the answer is of that class, with everything but
        the value None.

    Attributes
    ----------
    value : Tensor or None
        The answer's value; None to give back what comes in.
    """

    def __init__(self, module: nn.Module, output: Any) -> None:
        super().__init__()
        self.__dict__["_module"] = module  # not a part: it has hooks that must not act here
        self._output = output
        self.value: torch.Tensor | None = None

    def __getattr__(self, name: str) -> Any:
        """Return the module's attribute: models ask their blocks for the kind of attention."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_module"], name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``value`` (batch, seq, d), or the first of the arguments."""
        value = get_input(args, kwargs) if self.value is None else self.value
        return with_output(self._output, value)


def with_part(module: nn.Module, path: str, part: nn.Module) -> nn.Module:
    """Return a shallow copy of ``module`` with the submodule at ``path`` exchanged."""
    name, _, rest = path.partition(".")
    view = copy.copy(module)
    changed = with_part(module._modules[name], rest, part) if rest else part
    view.__dict__["_modules"] = {**module._modules, name: changed}
    return view


def trunk_of(model: nn.Module) -> nn.Module:
    """Return the module that runs the blocks and whose output the LM head reads."""
    return model.get_submodule(layout_of(model).trunk)


def trunk_with_blocks(model: nn.Module, blocks: Sequence[nn.Module]) -> nn.Module:
    """Return a view of the trunk that runs ``blocks`` instead of its own."""
    layout = layout_of(model)
    path = layout.blocks.removeprefix(f"{layout.trunk}.")
    return with_part(trunk_of(model), path, nn.ModuleList(blocks))


def final_states(
    model: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Run the model without its LM head on ``input_ids`` (batch, seq), padded as the mask says.

    What it returns (batch, seq, d_model) is after the final norm: what the LM head reads, and not
    a hook's value.
    """
    return run_trunk(trunk_of(model), input_ids, attention_mask)


def run_trunk(
    trunk: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor | None
) -> torch.Tensor:
    """Run a model's trunk, or a view of it, as `final_states` does."""
    return get_output(trunk(input_ids, **forward_arguments(trunk, attention_mask)))


class _Reached(Exception):
    """Ends a forward pass of which no more is needed."""


@torch.no_grad()
def run_until(
    model: nn.Module,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor | None,
    hooks: Sequence[Hook],
    take: Take | None = None,
) -> dict[Hook, Any]:
    """Return the activations at ``hooks``, computing no block after the last one needed.

    Parameters and result are those of `final_states` and of `saeflow.models.hooks.capture`.
    """
    check_hooks(model, hooks)
    last = block_modules(model)[max(hook.block for hook in hooks)]

    def stop(*_: object) -> None:
        raise _Reached

    with capture(model, hooks, take) as found:
        handle = last.register_forward_hook(stop)
        try:
            with suppress(_Reached):
                run_trunk(trunk_of(model), input_ids, attention_mask)
        finally:
            handle.remove()
    return found


class Head:
    """The LM head as a function of the final states, with whatever the model does after it.

    Parameters
    ----------
    model
        The model whose head it is (soft-capped and scaled logits included).
    """

    def __init__(self, model: nn.Module) -> None:
        layout = layout_of(model)
        self._trunk = StandIn(trunk_of(model), layout.trunk_output)
        self._view = with_part(model, layout.trunk, self._trunk)

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Map final states (..., d_model) to logits (..., vocab_size)."""
        flat = states.reshape(1, -1, states.shape[-1]) if states.dim() != 3 else states
        ids = torch.zeros(flat.shape[:2], dtype=torch.long, device=flat.device)
        self._trunk.value = flat
        try:
            logits = self._view(ids).logits
        finally:
            self._trunk.value = None
        return logits.reshape(*states.shape[:-1], logits.shape[-1])
