"""Activations of a packed dataset, one window of sequences at a time.

The batches follow from the token store alone, so that a row's values depend neither on the hooks
taken with it nor on where a run starts. Read `windows`, then `compute`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch

from saeflow import device
from saeflow.activations.values import TORCH
from saeflow.models.hooks import Hook
from saeflow.models.slices import run_until
from saeflow.tokens.store import TokenStore

# Sequences of unlike lengths are sorted within so many batches' worth, to pad little.
_WINDOW_BATCHES = 4


class Window(NamedTuple):
    """Consecutive sequences, and how they are put into batches.

    Attributes
    ----------
    start, end : int
        Their rows.
    batches : list of ndarray
        Sequence numbers of each batch; together all of the window, once.
    """

    start: int
    end: int
    batches: list[np.ndarray]


def windows(tokens: TokenStore, batch_tokens: int) -> Iterator[Window]:
    """Yield the batches of the whole store; they depend on nothing but it and ``batch_tokens``."""
    offsets = tokens.sequence_offsets
    lengths = np.diff(offsets)
    n = max(1, batch_tokens // int(lengths.max()))
    step = n if (lengths == lengths[0]).all() else n * _WINDOW_BATCHES
    for first in range(0, len(lengths), step):
        end = min(first + step, len(lengths))
        order = first + np.argsort(-lengths[first:end], kind="stable")
        batches = []
        while len(order):
            size = max(1, batch_tokens // int(lengths[order[0]]))
            batches.append(order[:size])
            order = order[size:]
        yield Window(int(offsets[first]), int(offsets[end]), batches)


def compute(
    model: torch.nn.Module, dtypes: Mapping[Hook, str], tokens: TokenStore, window: Window
) -> dict[Hook, torch.Tensor]:
    """Return the window's rows (n, d) at each hook, in the dtype of its store."""
    token_id = tokens.columns.read("token_id", window.start, window.end).astype(np.int64)
    target = device.pick()
    found: dict[Hook, torch.Tensor] = {}
    for batch in window.batches:
        starts = tokens.sequence_offsets[batch] - window.start
        lengths = tokens.sequence_offsets[batch + 1] - window.start - starts
        ids, rows = _padded(token_id, starts, lengths)
        captured = run_until(model, ids.to(target), None, list(dtypes))
        for hook, x in captured.items():
            x = x.reshape(-1, x.shape[-1]).to(TORCH[dtypes[hook]])
            if len(window.batches) == 1 and len(x) == len(token_id):
                found[hook] = x.cpu()
                continue
            if hook not in found:
                found[hook] = torch.empty(len(token_id), x.shape[1], dtype=x.dtype)
            is_token = rows >= 0
            found[hook][rows[is_token]] = x[is_token.to(x.device)].cpu()
    return found


def _padded(
    token_id: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences padded on the right, and the row of each of their tokens.

    Returns
    -------
    tuple of Tensor
        ids (batch, longest) int64, and rows (batch * longest,) int64 with -1 at the padding.

    Notes
    -----
    The model is causal: what stands right of a token cannot change its activation, so that no
    attention mask is needed, and the same kernel serves every batch.
    """
    within = np.arange(lengths.max())
    rows = np.where(within < lengths[:, None], starts[:, None] + within, -1)
    ids = np.where(rows >= 0, token_id[rows], 0)
    return torch.from_numpy(ids), torch.from_numpy(rows.ravel())
