"""Attention whose patterns stay those of an earlier pass: where tokens look, not what they see.

The queries and keys of the earlier pass are put in the place of the present ones, and the model's
own attention function does the rest. So whatever a family does between the scores and the weights
(masks, windows, caps, shared keys) is done as ever, memory grows with the tokens and not with their
square, and where nothing else has changed, no bit does. Read `FrozenPatterns`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from saeflow.errors import ModelError
from saeflow.models.hooks import block_modules, sites_of
from saeflow.models.layout import forward_arguments, probe_ids

_Attention = Callable[..., Any]


class FrozenPatterns:
    """The attention patterns of a model, kept in one pass and used in others.

    Parameters
    ----------
    model
        A causal language model in eval mode. One whose attention does not go through
        transformers' interface of attention functions is refused with a `ModelError`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._name = getattr(model.config, "_attn_implementation", None)
        self._kept: dict[nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}
        self._check(model)

    @contextmanager
    def keep(self) -> Iterator[None]:
        """Keep the queries and keys of the pass that is made inside."""
        self._kept = {}

        def note(own: _Attention, module: nn.Module, *qkv: torch.Tensor, **rest: Any) -> Any:
            self._kept[module] = qkv[:2]
            return own(module, *qkv, **rest)

        with self._instead(note):
            yield

    @contextmanager
    def freeze(self) -> Iterator[None]:
        """Use what was kept in passes over the same tokens that are made inside."""

        def answer(own: _Attention, module: nn.Module, *qkv: torch.Tensor, **rest: Any) -> Any:
            return own(module, *self._kept[module], *qkv[2:], **rest)

        with self._instead(answer):
            yield

    @contextmanager
    def _instead(self, function: Callable[..., Any]) -> Iterator[None]:
        """Call ``function`` with the model's own attention function and what that would get."""
        from transformers import AttentionInterface

        own = AttentionInterface()[self._name]
        AttentionInterface.register(self._name, lambda *a, **k: function(own, *a, **k))
        try:
            yield
        finally:
            AttentionInterface.register(self._name, own)

    @torch.no_grad()
    def _check(self, model: nn.Module) -> None:
        """See that every block's attention asks for its function, once, and that a check holds."""
        from transformers import AttentionInterface

        blocks = [
            block
            for block, sites in zip(block_modules(model), sites_of(model), strict=True)
            if "attn_out" in sites.points
        ]
        problem = ""
        if self._name not in AttentionInterface():
            problem = f"the attention is '{self._name}'"
        else:
            ids, arguments = probe_ids(model), forward_arguments(model)
            with self.keep():
                expected = model(ids, **arguments).logits
            n = [sum(part in self._kept for part in block.modules()) for block in blocks]
            if not blocks or any(count != 1 for count in n):
                problem = f"{sum(n)} calls of it in {len(blocks)} blocks with attention"
            else:
                with self.freeze():
                    if not torch.equal(model(ids, **arguments).logits, expected):
                        problem = "another result with the patterns that it has itself"
        if problem:
            raise ModelError(
                "the attention patterns of this model cannot be frozen",
                where=type(model).__name__,
                expected="one call of transformers' attention interface in each block",
                got=problem,
            )
