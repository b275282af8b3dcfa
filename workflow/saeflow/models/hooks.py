"""Read and write the activations at hooks, in any causal language model.

Where a hook (`saeflow.hooks`) lies is found by passes of a few tokens (`layout`, `sites`), not by
names. Nothing here reads ``hidden_states``: its last entry is taken after the final norm, so it
is not the last block's output. Read `capture` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from saeflow.errors import ModelError
from saeflow.hooks import Hook
from saeflow.models.layout import Layout, find_layout
from saeflow.models.points import Point
from saeflow.models.sites import Sites, find_sites

if TYPE_CHECKING:
    import torch
    from torch import nn

_LAYOUTS: WeakKeyDictionary[nn.Module, Layout] = WeakKeyDictionary()
_SITES: WeakKeyDictionary[nn.Module, list[Sites]] = WeakKeyDictionary()


def layout_of(model: nn.Module) -> Layout:
    """Return where a model's parts are; it is watched once, when it is first asked about."""
    if model not in _LAYOUTS:
        _LAYOUTS[model] = find_layout(model)
    return _LAYOUTS[model]


def block_modules(model: nn.Module) -> list[nn.Module]:
    """Return the blocks of a model, first to last."""
    return list(model.get_submodule(layout_of(model).blocks))


def sites_of(model: nn.Module) -> list[Sites]:
    """Return the sites of each block of a model; they are tried once."""
    if model not in _SITES:
        _SITES[model] = find_sites(model, block_modules(model))
    return _SITES[model]


def available_hooks(model: nn.Module) -> list[Hook]:
    """Return every hook of a model, in the order in which a forward pass meets them."""
    return [
        Hook(site, index) for index, sites in enumerate(sites_of(model)) for site in sites.points
    ]


def _point(model: nn.Module, hook: Hook) -> Point:
    blocks = sites_of(model)
    if 0 <= hook.block < len(blocks) and hook.site in blocks[hook.block].points:
        return blocks[hook.block].points[hook.site]
    if 0 <= hook.block < len(blocks):
        here = blocks[hook.block]
        expected = f"one of {', '.join(here.points)} in block {hook.block}"
        why = f": {here.refused[hook.site]}" if hook.site in here.refused else ""
    else:
        expected = f"SITE.BLOCK with SITE one of {', '.join(blocks[0].points)} and BLOCK from 0 to"
        expected, why = f"{expected} {len(blocks) - 1}", ""
    raise ModelError(
        f"the model has no hook {hook}{why}",
        where=type(model).__name__,
        expected=expected,
        got=str(hook),
        remedy="Change the hook in the study's list of hooks.",
    )


def check_hooks(model: nn.Module, hooks: Sequence[Hook]) -> None:
    """Raise a `ModelError` that lists the model's hooks if one of ``hooks`` is not among them."""
    for hook in hooks:
        _point(model, hook)


Take = Callable[[Hook, "torch.Tensor"], Any]
"""What to do with a hook's value (batch, seq, d) as soon as it is there."""


@contextmanager
def capture(
    model: nn.Module, hooks: Sequence[Hook], take: Take | None = None
) -> Iterator[dict[Hook, Any]]:
    """Collect the activations at ``hooks`` of each forward pass made inside.

    Parameters
    ----------
    model, hooks
        The model, and what to collect.
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
    with ExitStack() as stack:
        for hook in hooks:

            def keep(x: torch.Tensor, hook: Hook = hook) -> None:
                found[hook] = x if take is None else take(hook, x)

            stack.enter_context(_point(model, hook).listen(keep))
        yield found


@contextmanager
def replace(
    model: nn.Module, hook: Hook, function: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[None]:
    """Run forward passes, of the whole model or from a block on, with a hook's tensor replaced.

    ``function`` maps what was there, (batch, seq, d), to the same shape; it must not change its
    argument in place.
    """
    with _point(model, hook).exchange(function):
        yield
