"""Activations that no disk holds: the model computes them whenever they are read.

They are the very bits that a store would hold, since batches of sequences and rounding are the
harvest's own. Read `LiveActivations`; `saeflow.activations.reader.open_store` gives a `Store` of
them, whose statistics are those of a sample of the rows.
"""

from __future__ import annotations

import bisect
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from saeflow.activations.array import Activations
from saeflow.activations.forward import Window, compute, windows
from saeflow.activations.layout import STORAGE, plan_layout
from saeflow.activations.slow import row_numbers
from saeflow.activations.values import TORCH, not_finite, to_storage
from saeflow.errors import DamagedError
from saeflow.files import read_json
from saeflow.models.hooks import Hook, check_hooks
from saeflow.models.load import load_model_once
from saeflow.tokens.store import TokenStore, open_tokens

logger = logging.getLogger(__name__)

_KEPT_WINDOWS = 4
_LOG_EVERY_S = 10.0


class LiveActivations(Activations):
    """The rows of one hook, computed when they are asked for.

    Parameters
    ----------
    hook, dtype
        Where in the model, and what values are rounded to.
    model
        Called once, when the first row is asked for.
    tokens, batch_tokens
        What the model reads, and as much in a forward pass; as for a harvest.
    d_model
        Width of a row.
    shard_rows
        Of the store that these rows stand for; it decides the order of random batches.

    Notes
    -----
    A forward pass covers a window of sequences. Rows that are read in rising order take each
    window once; a random row takes the whole window that it is in. Tokens that went through the
    model so far are ``n_computed``.
    """

    is_live = True

    def __init__(
        self,
        hook: Hook,
        dtype: str,
        model: Callable[[], nn.Module],
        tokens: TokenStore,
        *,
        batch_tokens: int,
        d_model: int,
        shard_rows: int | None = None,
    ) -> None:
        layout = plan_layout(tokens.n_tokens, d_model, dtype, shard_rows)
        super().__init__((layout.n_rows, d_model), dtype, layout.inner_rows, None)
        self.hook, self._load, self._tokens = hook, model, tokens
        self._batch_tokens, self._storage = batch_tokens, np.dtype(STORAGE[dtype])
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self.n_computed, self._seconds, self._told = 0, 0.0, 0.0

    def raw(self, where: slice | np.ndarray | Sequence[int]) -> np.ndarray:
        """Compute rows, in the dtype of a store (bfloat16 as uint16)."""
        rows = row_numbers(where, len(self))
        found = np.empty((len(rows), self.shape[1]), self._storage)
        order = np.argsort(rows, kind="stable")
        done = 0
        while done < len(rows):
            number = bisect.bisect_right(self._starts, rows[order[done]]) - 1
            window = self._windows[number]
            end = int(np.searchsorted(rows, window.end, sorter=order))
            these = order[done:end]
            found[these] = self._values_of(number)[rows[these] - window.start]
            done = end
        return found

    def tokens_for(self, starts: np.ndarray, ends: np.ndarray) -> int:
        """Return how many tokens go through the model for ranges ``starts`` to ``ends`` of rows.

        Both are (n,) int64; the ranges are read together.
        """
        touched = np.zeros(len(self._windows) + 1, dtype=np.int64)
        np.add.at(touched, np.searchsorted(self._starts, starts, side="right") - 1, 1)
        np.add.at(touched, np.searchsorted(self._starts, ends - 1, side="right"), -1)
        sizes = np.diff([*self._starts, len(self)])
        return int(sizes[np.cumsum(touched[:-1]) > 0].sum())

    def close(self) -> None:
        """Forget what was computed."""
        if self.n_computed:
            self._tell()
        self._kept.clear()

    @cached_property
    def _windows(self) -> list[Window]:
        return list(windows(self._tokens, self._batch_tokens))

    @cached_property
    def _starts(self) -> list[int]:
        return [window.start for window in self._windows]

    @cached_property
    def _model(self) -> nn.Module:
        model = self._load()
        check_hooks(model, [self.hook])
        return model

    def _values_of(self, number: int) -> np.ndarray:
        """Return the rows (n, d_model) of a window; the latest few are kept."""
        if number not in self._kept:
            start = time.monotonic()
            window = self._windows[number]
            x = compute(self._model, {self.hook: self.dtype}, self._tokens, window)[self.hook]
            check_finite(x, self.hook, self.dtype, window)
            while len(self._kept) >= _KEPT_WINDOWS:
                self._kept.popitem(last=False)
            self._kept[number] = to_storage(x, self.dtype)
            self.n_computed += window.end - window.start
            self._seconds += time.monotonic() - start
            if self._seconds - self._told >= _LOG_EVERY_S:
                self._tell()
        self._kept.move_to_end(number)
        return self._kept[number]

    def _tell(self) -> None:
        self._told = self._seconds
        logger.info(
            "%s live: %s tokens through the model so far, %s a second; the dataset has %s",
            self.hook,
            f"{self.n_computed:,}",
            f"{self.n_computed / max(self._seconds, 1e-9):,.0f}",
            f"{len(self):,}",
        )


def open_live(path: Path, record: Mapping[str, Any]) -> LiveActivations:
    """Open the activations that a live record, with its bulk at ``path``, describes.

    A model or tokens that are gone or have been replaced are a `DamagedError`.
    """
    live = record["live"]
    model, tokens = (_source(name, live[name], path) for name in ("model", "tokens"))
    return LiveActivations(
        Hook.parse(record["hook"]),
        record["dtype"],
        lambda: load_model_once(model),
        open_tokens(tokens),
        batch_tokens=live["batch_tokens"],
        d_model=record["d_model"],
        shard_rows=live["shard_rows"],
    )


def _source(name: str, facts: Mapping[str, str], path: Path) -> Path:
    """Return the manifest of the model or of the tokens."""
    manifest = path.parent / facts["manifest"]
    if not manifest.is_file() or read_json(manifest)["identity"] != facts["identity"]:
        raise DamagedError(
            f"the {name} that these live activations are computed from is not there",
            where=path,
            expected=manifest,
            remedy="Run the workflow again: it makes it anew.",
        )
    return manifest


def check_finite(x: torch.Tensor, hook: Hook, dtype: str, window: Window) -> None:
    """Refuse activations (n, d) that their dtype cannot hold, as a harvest does."""
    if not (is_finite := torch.isfinite(x)).all():
        row = window.start + int((~is_finite).any(1).nonzero()[0])
        largest = f"absolute values up to {torch.finfo(TORCH[dtype]).max:.5g}"
        raise not_finite(dtype, f"{hook}, row {row}", largest)
