"""The stack of blocks in any causal language model, found by watching a few tokens pass.

Not by name: families call their blocks ``h``, ``layers``, ``blocks`` or ``layer`` and keep them at
different depths. What makes a stack is that each block is called once and what it returns is what
the next one gets: the residual stream. Read `find_layout`.
"""

from __future__ import annotations

import inspect
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import nn

from saeflow.errors import ModelError, first_line
from saeflow.models.points import empty_output, get_input, get_output

_TOKENS = (2, 4)
"""Sequences and tokens of the passes that look at a model."""


class Layout(NamedTuple):
    """Where the parts of a model are.

    Attributes
    ----------
    trunk : str
        Path of the module that runs the blocks and whose output the LM head reads.
    blocks : str
        Path of the list of blocks.
    trunk_output
        What the trunk returned, without all but its first tensor: the form of what may stand for
        it.
    block_outputs
        The same of each block; None of one that text does not pass through (an image's).
    """

    trunk: str
    blocks: str
    trunk_output: Any
    block_outputs: list[Any | None]


class _Call(NamedTuple):
    order: int
    before: torch.Tensor
    after: torch.Tensor
    output: Any


def probe_ids(model: nn.Module) -> torch.Tensor:
    """Return the token ids (2, 4) of the passes that look at a model, on its device."""
    device = next(model.parameters()).device
    ids = torch.arange(_TOKENS[0] * _TOKENS[1], device=device).reshape(_TOKENS)
    return ids % model.get_input_embeddings().weight.shape[0]


def forward_arguments(
    module: nn.Module, attention_mask: torch.Tensor | None = None
) -> dict[str, Any]:
    """Return the keyword arguments that every forward pass of saeflow shares.

    Parameters
    ----------
    module
        The model or its trunk; families without one of the arguments do without.
    attention_mask : Tensor (batch, seq), optional
        1 for tokens, 0 for padding. Right-padded batches of a causal model need none, and
        without it the same attention kernel serves every batch.

    Notes
    -----
    Positions count from the first token that is not padding: Hugging Face's own forward counts
    from the left edge, which gives left-padded text other (GPT-2: wrong) position embeddings.
    """
    wanted: dict[str, Any] = {"use_cache": False}
    if attention_mask is not None:
        positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        wanted |= {"attention_mask": attention_mask, "position_ids": positions}
    known = inspect.signature(module.forward).parameters
    if any(one.kind is one.VAR_KEYWORD for one in known.values()):
        return wanted
    return {name: value for name, value in wanted.items() if name in known}


@torch.no_grad()
def find_layout(model: nn.Module) -> Layout:
    """Find the trunk and the blocks of a model by a forward pass of a few tokens.

    If that fails, or no list of modules hands a stream on from one to the next, that is a
    `ModelError`.
    """
    named = dict(model.named_modules())
    lists = {n: one for n, one in named.items() if isinstance(one, nn.ModuleList) and len(one)}
    calls: dict[nn.Module, list[_Call]] = {}
    around = {m for n, m in named.items() if n and any(o.startswith(f"{n}.") for o in lists)}
    with ExitStack() as stack:
        for module in around.union(*lists.values()):
            stack.callback(_watch(module, calls).remove)
        _run(model)
    outer = [one for one in lists if any(part in calls for part in lists[one])]
    outer = [one for one in outer if not any(one.startswith(f"{other}.") for other in outer)]
    stacks = {name: lists[name] for name in outer if _is_stack(lists[name], calls)}
    if not stacks:
        raise ModelError(
            "this model has no residual stream that saeflow could read",
            where=type(model).__name__,
            expected="a list of blocks, each called once, of which each gets what the one before"
            " it returns, (batch, seq, d_model)",
            got=", ".join(outer) or "no list of blocks",
            remedy="Choose a decoder-only model.",
        )
    blocks = max(stacks, key=lambda name: len(stacks[name]))
    outputs = [
        empty_output(calls[block][0].output) if block in calls else None for block in stacks[blocks]
    ]
    return Layout(*_trunk(model, blocks, calls), outputs)


def _run(model: nn.Module) -> None:
    try:
        model(probe_ids(model), **forward_arguments(model))
    except Exception as error:  # whatever a family's code raises: it does not run on text alone
        raise ModelError(
            "a forward pass of a few tokens fails",
            where=type(model).__name__,
            got=f"{type(error).__name__}: {first_line(error)}",
            remedy="See whether the model needs packages that are not installed, or another input"
            " than text.",
        ) from error


def _watch(module: nn.Module, calls: dict[nn.Module, list[_Call]]) -> Any:
    """Keep the calls of a module that get and return tensors; others are kept without them."""

    def note(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        try:
            before = get_input(args, kwargs) if args or kwargs else None
            after = get_output(output)
        except ModelError:
            before = after = None
        order = sum(map(len, calls.values()))
        calls.setdefault(module, []).append(_Call(order, before, after, output))

    return module.register_forward_hook(note, with_kwargs=True)


def _is_stack(blocks: nn.ModuleList, calls: dict[nn.Module, list[_Call]]) -> bool:
    found = [calls[block] for block in blocks if block in calls]
    if 2 * len(found) < len(blocks) or any(len(one) != 1 for one in found):
        return False
    chain = [one[0] for one in found]
    if any(not _is_stream(call.before) or not _is_stream(call.after) for call in chain):
        return False
    return all(
        first.order < second.order and torch.equal(first.after, second.before)
        for first, second in zip(chain, chain[1:], strict=False)
    )


def _is_stream(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.is_floating_point() and x.shape[:-1] == _TOKENS


def _trunk(
    model: nn.Module, blocks: str, calls: dict[nn.Module, list[_Call]]
) -> tuple[str, str, Any]:
    """Return the outermost module around the blocks that the model calls, and its output."""
    parts = blocks.split(".")
    for end in range(1, len(parts)):
        path = ".".join(parts[:end])
        found = calls.get(model.get_submodule(path), [])
        if len(found) == 1 and _is_stream(found[0].after):
            return path, blocks, empty_output(found[0].output)
    raise ModelError(
        "the part of this model that its head reads was not found",
        where=type(model).__name__,
        expected="a module that runs the blocks and returns their states, (batch, seq, d_model)",
        got=", ".join(parts[:-1]) or "blocks that the model itself runs",
        remedy="Choose a model whose class has a base model and a head.",
    )
