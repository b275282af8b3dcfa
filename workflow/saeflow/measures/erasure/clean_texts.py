"""What an untouched model makes of texts: last states, and states at hooks. Read `read_clean`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from saeflow.models.hooks import Hook, capture
from saeflow.models.slices import final_states
from saeflow.tokens.sequences import Batch, Sequences

_MOST_TOKENS = 2048
"""Whose states are kept of each hook."""


class CleanTexts(NamedTuple):
    """Texts as an untouched model reads them.

    Attributes
    ----------
    ends : ndarray (n_texts, d_model) float32
        What the LM head reads at the last ordinary token of each.
    at_hooks : dict
        Hook -> states (n_tokens, d) float32 at ordinary tokens, evenly spread over the texts.
    """

    ends: np.ndarray
    at_hooks: dict[Hook, np.ndarray]


@torch.no_grad()
def read_clean(model: nn.Module, texts: Sequences, hooks: Sequence[Hook]) -> CleanTexts:
    """Run a model on texts.

    Parameters
    ----------
    model
        In evaluation mode.
    texts
        A sequence each, with an ordinary token.
    hooks
        Whose states are kept, of at most `_MOST_TOKENS` tokens.
    """
    ordinary = np.flatnonzero(~texts.special)
    step = -(-len(ordinary) // _MOST_TOKENS)
    wanted = np.zeros(len(texts.special), dtype=bool)
    wanted[ordinary[::step]] = True
    order, ends, parts = [], [], {hook: [] for hook in hooks}
    for batch in texts.batches():
        moved = batch.to(model.device)
        kept = torch.from_numpy((batch.tokens >= 0) & wanted[batch.tokens]).to(model.device)
        with capture(model, hooks, lambda _, x, kept=kept: x[kept].float().cpu().numpy()) as found:
            states = final_states(model, moved.input_ids)
        order.append(batch.numbers)
        ends.append(at_ends(moved, states).float().cpu().numpy())
        for hook in hooks:
            parts[hook].append(found[hook])
    back = np.argsort(np.concatenate(order))
    at_hooks = {hook: np.concatenate(own) for hook, own in parts.items()}
    return CleanTexts(np.concatenate(ends)[back], at_hooks)


def at_ends(batch: Batch, states: torch.Tensor) -> torch.Tensor:
    """Return of states (batch, seq, d) those at the last ordinary token of each row, (batch, d)."""
    places = torch.arange(states.shape[1], device=states.device)
    last = torch.where(batch.ordinary, places, -1).amax(1)
    return states[torch.arange(len(states), device=states.device), last]
