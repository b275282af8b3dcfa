"""Activations of a packed dataset, one window of sequences at a time.

The batches follow from the token store alone, so that a row's values depend neither on the hooks
taken with it nor on where a run starts. Read `windows`, then `compute`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch

from saeflow import device
from saeflow.activations.values import TORCH
from saeflow.errors import ModelError, first_line
from saeflow.models.hooks import Hook
from saeflow.models.slices import run_until
from saeflow.tokens.store import TokenStore

# Sequences of unlike lengths are sorted within so many batches' worth, to pad little.
_WINDOW_BATCHES = 4
_BLOCK_SEQUENCES = 1 << 16


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
    shortest, longest = _lengths(tokens)
    n = max(1, batch_tokens // longest)
    step = n if shortest == longest else n * _WINDOW_BATCHES
    for first in range(0, tokens.n_sequences, step):
        end = min(first + step, tokens.n_sequences)
        offsets = tokens.part("sequence_offsets", first, end + 1)
        lengths = np.diff(offsets)
        order = np.argsort(-lengths, kind="stable")
        batches = []
        while len(order):
            size = max(1, batch_tokens // int(lengths[order[0]]))
            batches.append(first + order[:size])
            order = order[size:]
        yield Window(int(offsets[0]), int(offsets[-1]), batches)


def _lengths(tokens: TokenStore) -> tuple[int, int]:
    """Return the tokens of the shortest and of the longest sequence."""
    shortest, longest = 1 << 62, 0
    for first in range(0, tokens.n_sequences, _BLOCK_SEQUENCES):
        end = min(first + _BLOCK_SEQUENCES, tokens.n_sequences)
        lengths = np.diff(tokens.part("sequence_offsets", first, end + 1))
        shortest, longest = min(shortest, int(lengths.min())), max(longest, int(lengths.max()))
    return shortest, longest


def compute(
    model: torch.nn.Module, dtypes: Mapping[Hook, str], tokens: TokenStore, window: Window
) -> dict[Hook, torch.Tensor]:
    """Return the window's rows (n, d) at each hook, in the dtype of its store.

    A hook's values are converted into the result at once, so that of the forward pass no more is
    kept than the rows in the dtypes of their stores. A batch that does not fit into memory is a
    `ModelError`.
    """
    token_id = tokens.part("token_id", window.start, window.end).astype(np.int64)
    first = min(int(batch.min()) for batch in window.batches)
    n = sum(map(len, window.batches))
    offsets = tokens.part("sequence_offsets", first, first + n + 1) - window.start
    target = device.pick()
    found: dict[Hook, torch.Tensor] = {}
    for batch in window.batches:
        starts = offsets[batch - first]
        lengths = offsets[batch - first + 1] - starts
        ids, rows = _padded(token_id, starts, lengths)
        place = _placing(found, dtypes, len(token_id), rows)
        with enough_memory(ids, "activations.batch_tokens"):
            run_until(model, ids.to(target), None, list(dtypes), place)
    return found


def _placing(
    found: dict[Hook, torch.Tensor], dtypes: Mapping[Hook, str], n_rows: int, rows: torch.Tensor
) -> Callable[[Hook, torch.Tensor], None]:
    """Return what copies the values of a batch to where they belong in the window."""
    is_whole = torch.equal(rows, torch.arange(n_rows))
    kept = torch.nonzero(rows >= 0).squeeze(1)
    places = rows[kept]

    def place(hook: Hook, x: torch.Tensor) -> None:
        x = x.reshape(-1, x.shape[-1])
        dtype = TORCH[dtypes[hook]]
        if hook not in found:
            found[hook] = torch.empty(n_rows, x.shape[1], dtype=dtype)
        if x.device.type != "cpu":
            x = x.to(dtype)  # before the transfer, which it may halve
        if is_whole:
            found[hook].copy_(x)
        else:
            values = x.index_select(0, kept.to(x.device)).to(dtype)
            found[hook].index_copy_(0, places, values.cpu())

    return place


@contextmanager
def enough_memory(ids: torch.Tensor, setting: str) -> Iterator[None]:
    """Say what to do where a forward pass over ``ids`` (batch, seq) runs out of memory.

    ``setting`` is the key that says how many tokens a batch has.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        out = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not out and "can't allocate memory" not in str(error):
            raise
        raise ModelError(
            "a forward pass does not fit into memory",
            where=f"{ids.shape[0]} sequences of {ids.shape[1]} tokens",
            got=first_line(error),
            remedy=f"Lower {setting} (halve it; one sequence at a time is the least), or shorten"
            " the sequences.",
        ) from error


def _padded(
    token_id: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences padded on the right (batch, longest), and the row of each of their tokens.

    Rows are (batch * longest,), -1 at the padding. The model is causal: what stands right of a
    token cannot change its activation, so that no attention mask is needed, and the same kernel
    serves every batch.
    """
    within = np.arange(lengths.max())
    rows = np.where(within < lengths[:, None], starts[:, None] + within, -1)
    ids = np.where(rows >= 0, token_id[rows], 0)
    return torch.from_numpy(ids), torch.from_numpy(rows.ravel())
