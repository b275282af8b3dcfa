"""Read and write the activations at hooks, in any decoder-only model.

A hook (`saeflow.hooks`) is a module and its input or output, found by the attribute names that the
families of Hugging Face models share. Nothing here reads ``hidden_states``: its last entry is taken
after the final norm, so it is not the last block's output. Read `capture` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saeflow.errors import ModelError
from saeflow.hooks import SITES, Hook

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class _Point:
    """A module and which side of it a hook means."""

    module: nn.Module
    is_input: bool


def block_list(model: nn.Module) -> tuple[nn.Module, str]:
    """Return the module that holds the blocks and the name of its attribute.

    Raises
    ------
    ModelError
        If the model follows none of the known naming schemes.
    """
    base = model.base_model
    for name, attentions in (("h", ("attn",)), ("layers", ("attention", "self_attn"))):
        blocks = base._modules.get(name)
        if blocks and any(a in blocks[0]._modules for a in attentions):
            return base, name
    raise ModelError(
        "the blocks of this model were not found",
        where=type(model).__name__,
        expected="a decoder-only model built like GPT-2, GPT-NeoX or Llama",
        got=", ".join(base._modules),
    )


def block_modules(model: nn.Module) -> list[nn.Module]:
    """Return the blocks of a model, first to last."""
    base, name = block_list(model)
    return list(base._modules[name])


def _points(block: nn.Module) -> dict[str, _Point]:
    """Map the sites of one block to modules."""
    parts = block._modules
    attention = next(parts[n] for n in ("attn", "attention", "self_attn") if n in parts)
    mlp, middle = parts["mlp"], None
    if "post_feedforward_layernorm" in parts:
        # Gemma 2/3, OLMo 2: a norm follows each part, and only its output enters the stream.
        attention, mlp = parts["post_attention_layernorm"], parts["post_feedforward_layernorm"]
        middle = parts.get("pre_feedforward_layernorm")
    elif "ln_2" in parts:
        middle = parts["ln_2"]
    elif not getattr(block, "use_parallel_residual", False):
        # GPT-NeoX alone has the attribute: its parallel blocks have no point between the two.
        middle = parts.get("post_attention_layernorm")
    points = {
        "resid_pre": _Point(block, True),
        "attn_out": _Point(attention, False),
        "mlp_out": _Point(mlp, False),
        "resid_post": _Point(block, False),
    }
    if middle is not None:
        points["resid_mid"] = _Point(middle, True)
    return {site: points[site] for site in SITES if site in points}


def available_hooks(model: nn.Module) -> list[Hook]:
    """Return every hook of a model, in the order in which a forward pass meets them."""
    return [
        Hook(site, index)
        for index, block in enumerate(block_modules(model))
        for site in _points(block)
    ]


def _point(model: nn.Module, hook: Hook) -> _Point:
    blocks = block_modules(model)
    if 0 <= hook.block < len(blocks):
        points = _points(blocks[hook.block])
        if hook.site in points:
            return points[hook.site]
    sites = ", ".join(_points(blocks[0]))
    raise ModelError(
        f"the model has no hook {hook}",
        where=type(model).__name__,
        expected=f"SITE.BLOCK with SITE one of {sites} and BLOCK from 0 to {len(blocks) - 1}",
        got=str(hook),
        remedy="Change the hook in the study's list of hooks.",
    )


def check_hooks(model: nn.Module, hooks: Sequence[Hook]) -> None:
    """Raise a `ModelError` that lists the model's hooks if one of ``hooks`` is not among them."""
    for hook in hooks:
        _point(model, hook)


def _read(output: Any) -> torch.Tensor:
    """Return the tensor in a module's output: itself, a tuple's first, or an object's first.

    Never ``output[0]`` of a tensor: that is the first row of the batch.
    """
    import torch

    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, (tuple, list)):
        return output[0]
    for name in ("last_hidden_state", "hidden_states"):
        value = getattr(output, name, None)
        if isinstance(value, torch.Tensor):
            return value
    raise ModelError(
        "a module returned nothing that holds a tensor",
        expected="a tensor, a tuple that begins with one, or an object with hidden_states",
        got=type(output).__name__,
    )


def _written(output: Any, value: torch.Tensor) -> Any:
    """Return a module's output with ``value`` in the place that `_read` reads."""
    import torch

    if isinstance(output, torch.Tensor):
        return value
    if isinstance(output, (tuple, list)):
        return type(output)([value, *output[1:]])
    raise ModelError(
        "this module's output cannot be replaced",
        expected="a tensor or a tuple that begins with one",
        got=type(output).__name__,
    )


def _input(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    return args[0] if args else kwargs["hidden_states"]


Take = Callable[[Hook, "torch.Tensor"], Any]
"""What to do with a hook's value (batch, seq, d) as soon as it is there."""


@contextmanager
def capture(
    model: nn.Module, hooks: Sequence[Hook], take: Take | None = None
) -> Iterator[dict[Hook, Any]]:
    """Collect the activations at ``hooks`` of each forward pass made inside.

    Parameters
    ----------
    model
        The model, or a slice of it.
    hooks
        What to collect.
    take
        Called with each value at once; what it returns is collected instead, so that a value
        which was copied elsewhere need not live until the pass ends.

    Yields
    ------
    dict
        hook -> Tensor (batch, seq, d), of the latest forward pass. Of a hook that `replace` also
        holds it has the value before the replacement if `capture` was entered first.
    """
    found: dict[Hook, Any] = {}

    def keep(hook: Hook, value: torch.Tensor) -> None:
        if take is not None:
            found[hook] = take(hook, value)
        else:
            # `replace` writes resid_mid in place; what was captured must not change with it.
            found[hook] = value.clone() if hook.site == "resid_mid" else value

    with ExitStack() as stack:
        for hook in hooks:
            handle = _listen(_point(model, hook), hook, keep)
            stack.callback(handle.remove)
        yield found


def _listen(point: _Point, hook: Hook, keep: Callable[[Hook, torch.Tensor], None]) -> Any:
    if point.is_input:
        return point.module.register_forward_pre_hook(
            lambda _, args, kwargs: keep(hook, _input(args, kwargs)), with_kwargs=True
        )
    return point.module.register_forward_hook(lambda _, __, output: keep(hook, _read(output)))


@contextmanager
def replace(
    model: nn.Module, hook: Hook, function: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Run forward passes with the tensor at ``hook`` replaced by ``function`` of it.

    Parameters
    ----------
    model
        The model, or a slice of it.
    hook
        Where.
    function
        Maps (batch, seq, d) to the same shape; it must not change its argument in place.
    """
    point = _point(model, hook)
    register = _replace_input if point.is_input else _replace_output
    handle = register(point.module, hook, function)
    try:
        yield
    finally:
        handle.remove()


_Function = Callable[["torch.Tensor"], "torch.Tensor"]


def _changed(x: torch.Tensor, hook: Hook, function: _Function) -> torch.Tensor:
    value = function(x)
    if value.shape != x.shape:
        raise ModelError(
            "a replacement has another shape than the activations",
            where=str(hook),
            expected=tuple(x.shape),
            got=tuple(value.shape),
        )
    return value


def _replace_output(module: nn.Module, hook: Hook, function: _Function) -> Any:
    def on_output(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
        return _written(output, _changed(_read(output), hook, function))

    return module.register_forward_hook(on_output)


def _replace_input(module: nn.Module, hook: Hook, function: _Function) -> Any:
    def on_input(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x = _input(args, kwargs)
        if hook.site == "resid_mid":
            # The block has already put this very tensor aside for its skip connection: only
            # writing into it changes both what the MLP reads and what the MLP is added to.
            x.copy_(_changed(x.clone(), hook, function))
            return None
        value = _changed(x, hook, function)
        return ((value, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": value})

    return module.register_forward_pre_hook(on_input, with_kwargs=True)
