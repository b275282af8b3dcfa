"""Batches of two hooks on the same tokens, in the same order: what a transcoder is trained on.

Two loaders with one seed, one per store, so a pair costs what two hooks cost to read. Read
`Pairs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

from torch import Tensor

from saeflow.activations.loader import Loader
from saeflow.activations.reader import Store
from saeflow.errors import StoreError


class Pairs:
    """Two loaders that move together; yields (x, target).

    Parameters
    ----------
    loaders
        Over the hook and over the target, of equal settings.
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
    for name, of in (
        ("row table", lambda s: s.record["rows"]),
        ("rows", lambda s: s.n_rows),
    ):
        if of(store) != of(target):
            raise StoreError(
                f"the activations of two hooks do not pair up: their {name} differ",
                where=target.path,
                expected=f"{of(store)}, as in {store.path}",
                got=of(target),
                remedy="Harvest both on the same tokens: of one dataset, packing and tokenizer.",
            )
