"""The rows that the SAEs of a hook are trained on: read `TrainingRows` and `Pairs`.

The first has what is taken of them besides the pass, their exact statistics and a seeded draw of
some; it moves the position of no training's loader.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from saeflow.activations.excerpts import batches_in_order, ordinary_rows
from saeflow.activations.loader import Loader
from saeflow.activations.reader import Store, open_store
from saeflow.errors import DataError, StoreError
from saeflow.files import read_json
from saeflow.sae.steps.step import Batch
from saeflow.tokens.flags import excluded

SPLIT = "train"
_BLOCK_ROWS = 8192


class Moments(NamedTuple):
    """Sums over the ``n`` training rows of one hook, special tokens left out, in float64.

    Of x (d,), of |x| and of |x|^2.
    """

    n: int
    x: Tensor
    norm: float
    square: float

    @property
    def mean(self) -> Tensor:
        """Mean of x, (d,) float64."""
        return self.x / self.n


class TrainingRows:
    """The training split of a hook, and of a transcoder's target.

    Parameters
    ----------
    record, target
        results/activations/.../{hook}.json of the two; no target for autoencoders. Their widths are
        ``d_in`` and ``d_out``.
    part
        Of the split, "i/n" (`saeflow.activations.excerpts.part_range`); None for all of it.
    """

    def __init__(self, record: Path, target: Path | None = None, part: str | None = None) -> None:
        self._part = part
        self._records = (Path(record),) if target is None else (Path(record), Path(target))
        self.d_in = read_json(record)["d_model"]
        self.d_out = self.d_in if target is None else read_json(target)["d_model"]

    @cached_property
    def moments(self) -> Moments:
        """Sums over the rows of the hook."""
        return self._moments(0)

    @cached_property
    def target_moments(self) -> Moments:
        """Sums over the rows of what is reconstructed."""
        return self.moments if len(self._records) == 1 else self._moments(1)

    @cached_property
    def covariance(self) -> Tensor:
        """Covariance of the rows of the hook, (d, d) float64: centred sums / n, in one more pass.

        The exact mean is taken off first, so that a large mean costs no digits.
        """
        mean, total = self.moments.mean, torch.zeros(self.d_in, self.d_in, dtype=torch.float64)
        for x in self._blocks(0):
            centred = x.double() - mean
            total.addmm_(centred.T, centred)
        return total / self.moments.n

    def draw(self, n: int, *seed: int) -> Batch:
        """Return ``n`` different rows at random, or all where there are fewer.

        The draw depends on ``seed`` and the store alone.
        """
        with open_store(self._records[0]) as store:
            kept = kept_rows(store, self._part)
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(kept, size=min(n, len(kept)), replace=False))
        parts = []
        for record in self._records:
            with open_store(record) as store:
                parts.append(store.activations.tensor(torch.from_numpy(chosen)))
        return Batch(*parts)

    def _moments(self, which: int) -> Moments:
        d = read_json(self._records[which])["d_model"]
        n, norm, square, total = 0, 0.0, 0.0, torch.zeros(d, dtype=torch.float64)
        for x in self._blocks(which):
            x = x.double()
            squares = x.square().sum(1)
            n += len(x)
            total += x.sum(0)
            norm += float(squares.sqrt().sum())
            square += float(squares.sum())
        return Moments(n, total, norm, square)

    def _blocks(self, which: int) -> Iterator[Tensor]:
        """Yield all rows in order, (n, d) float32, special tokens left out."""
        with open_store(self._records[which]) as store:
            for rows, x in batches_in_order(store, SPLIT, _BLOCK_ROWS, self._part):
                yield x[torch.from_numpy(~excluded(store.rows.flags[rows]))]


def kept_rows(store: Store, part: str | None = None) -> np.ndarray:
    """Return the numbers of the training rows of a store, (n,) int64, special tokens left out.

    ``part``: as of `TrainingRows`.
    """
    kept = ordinary_rows(store, SPLIT, part)
    if not len(kept):
        raise DataError(
            f"the {SPLIT} split has no token to train on",
            where=store.path,
            remedy=f"Give the dataset a larger {SPLIT} share under `splits`.",
        )
    return kept


class Pairs:
    """Loaders of equal settings that move together; yields (x, target): a transcoder's batches.

    One seed gives the same tokens in the same order, so a pair costs what two hooks cost to read.
    """

    def __init__(self, loaders: Sequence[Loader]) -> None:
        self._loaders = tuple(loaders)

    def state(self) -> dict[str, Any]:
        """Return the position of both."""
        return self._loaders[0].state()

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches that were not given yet."""
        with ExitStack() as stack:
            parts = [stack.enter_context(closing(iter(loader))) for loader in self._loaders]
            yield from zip(*parts, strict=True)


def require_pair(store: Store, target: Store) -> None:
    """Raise a `StoreError` unless two stores give the same rows in the same order."""
    for name, of in (("row table", lambda s: s.record["rows"]), ("rows", lambda s: s.n_rows)):
        if of(store) != of(target):
            raise StoreError(
                f"the activations of two hooks do not pair up: their {name} differ",
                where=target.path,
                expected=f"{of(store)}, as in {store.path}",
                got=of(target),
                remedy="Harvest both on the same tokens: of one dataset, packing and tokenizer.",
            )
