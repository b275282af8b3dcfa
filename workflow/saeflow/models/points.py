"""One point of a forward pass: a module and its input or output, read and exchanged.

Families hand the same thing on in different wrappings: a tensor, a tuple that begins with one, an
object. Here these are unwrapped and wrapped again. `saeflow.models.hooks` is what others use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saeflow.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn

_Function = Callable[["torch.Tensor"], "torch.Tensor"]
_FIELDS = ("last_hidden_state", "hidden_states")


@dataclass(frozen=True)
class Point:
    """A module, which side of it is meant, and what its value is multiplied by afterwards.

    Attributes
    ----------
    is_input : bool
        Whether its input is meant, else its output.
    factor : float
        What the block multiplies the value by before adding it to the stream (Granite's
        ``residual_multiplier``); the point's value is the product.
    in_place : bool
        Whether an exchange must write into the tensor itself, because the block has already put
        it aside for its skip connection.
    changes : bool
        Whether the model writes into the tensor later.
    block : nn.Module or None
        Where the tensor is (batch * seq, d): the block, whose input tells batch and seq.
    """

    module: nn.Module
    is_input: bool
    factor: float = 1.0
    in_place: bool = False
    changes: bool = False
    block: nn.Module | None = None

    def listen(self, keep: Callable[[torch.Tensor], None]) -> ExitStack:
        """Call ``keep`` with each value (batch, seq, d); closing what is returned ends it."""

        def seen(x: torch.Tensor) -> torch.Tensor:
            keep(x.clone() if self.in_place or self.changes else x)
            return x

        return self._register(seen, writes=False)

    def exchange(self, function: _Function) -> ExitStack:
        """Replace each value by ``function`` of it; closing what is returned ends it."""

        def changed(x: torch.Tensor) -> torch.Tensor:
            value = function(x.clone() if self.in_place or self.changes else x)
            if value.shape != x.shape:
                raise ModelError(
                    "a replacement has another shape than the activations",
                    expected=tuple(x.shape),
                    got=tuple(value.shape),
                )
            return value.clone() if self.changes else value

        return self._register(changed, writes=True)

    def _register(self, function: _Function, *, writes: bool) -> ExitStack:
        stream = {}  # of the pass that is going on

        def on_block(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            stream["shape"] = get_input(args, kwargs).shape

        def value_of(x: torch.Tensor) -> torch.Tensor:
            value = x if self.factor == 1 else x * self.factor
            return function(value.reshape(stream.get("shape", x.shape)))

        def in_form(x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
            return (value if self.factor == 1 else value / self.factor).reshape(x.shape)

        def on_output(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
            x = get_output(output)
            value = value_of(x)
            return with_output(output, in_form(x, value)) if writes else None

        def on_input(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            x = get_input(args, kwargs)
            value = value_of(x)
            if writes and self.in_place:
                x.copy_(in_form(x, value))
                return None
            return with_input(args, kwargs, in_form(x, value)) if writes else None

        handles = ExitStack()
        if self.block is not None:
            handle = self.block.register_forward_pre_hook(on_block, with_kwargs=True)
            handles.callback(handle.remove)
        if self.is_input:
            handle = self.module.register_forward_pre_hook(on_input, with_kwargs=True)
        else:
            handle = self.module.register_forward_hook(on_output)
        handles.callback(handle.remove)
        return handles


def get_output(output: Any) -> torch.Tensor:
    """Return the tensor in a module's output: itself, a tuple's first, or an object's first.

    Never ``output[0]`` of a tensor: that is the first row of the batch.
    """
    import torch

    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, (tuple, list)) and output:
        return output[0]
    for name in _FIELDS:
        value = getattr(output, name, None)
        if isinstance(value, torch.Tensor):
            return value
    raise ModelError(
        "a module returned nothing that holds a tensor",
        expected="a tensor, a tuple that begins with one, or an object with hidden_states",
        got=type(output).__name__,
    )


def with_output(output: Any, value: torch.Tensor) -> Any:
    """Return a module's output with ``value`` in the place that `get_output` reads."""
    import torch

    if isinstance(output, torch.Tensor):
        return value
    if isinstance(output, (tuple, list)):
        return _sequence(output, [value, *output[1:]])
    if isinstance(output, Mapping):  # Hugging Face's outputs are dictionaries with attributes
        name = next(name for name in _FIELDS if output.get(name) is not None)
        return type(output)(**{**output, name: value})
    raise ModelError(
        "this module's output cannot be replaced",
        expected="a tensor, a tuple that begins with one, or one of Hugging Face's outputs",
        got=type(output).__name__,
    )


def empty_output(output: Any) -> Any:
    """Return an output of the same kind in which all but its first tensor is None."""
    import torch

    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, (tuple, list)):
        return _sequence(output, [output[0], *[None] * (len(output) - 1)])
    name = next(name for name in _FIELDS if output.get(name) is not None)
    return type(output)(**{name: output[name]})


def _sequence(like: Any, values: list[Any]) -> Any:
    """Return a list or tuple of the same kind, a named one included."""
    return like._make(values) if hasattr(like, "_make") else type(like)(values)


def get_input(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> torch.Tensor:
    """Return the first tensor that a module is called with: the stream, where a block is."""
    return args[0] if args else kwargs[_keyword(kwargs)]


def with_input(
    args: tuple[Any, ...], kwargs: dict[str, Any], value: torch.Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a module's arguments with ``value`` in the place that `get_input` reads."""
    if args:
        return (value, *args[1:]), kwargs
    return args, {**kwargs, _keyword(kwargs): value}


def _keyword(kwargs: Mapping[str, Any]) -> str:
    return "hidden_states" if "hidden_states" in kwargs else next(iter(kwargs))
