"""Losses that are kept token by token: an array for each kind, in the order of scored tokens.

Read `Losses`; `open_losses` opens those that the measure ``clean`` kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from saeflow.files import read_json
from saeflow.measures.exchange import evaluated_tokens
from saeflow.tokens.sequences import Sequences
from saeflow.work import bulk_of

KINDS = ("ce_clean", "ce_zero", "ce_mean")
"""Cross-entropies with a hook's own activations, zero, and their mean in their place."""


class Losses:
    """Losses of the scored tokens of some sequences, mapped from the files in a directory.

    ``mode`` is that of `numpy.memmap`.
    """

    def __init__(self, directory: Path, tokens: Sequences, mode: str = "r") -> None:
        self._scored = tokens.scored
        self._arrays = {kind: np.load(directory / f"{kind}.npy", mmap_mode=mode) for kind in KINDS}

    @classmethod
    def make(cls, directory: Path, tokens: Sequences) -> Losses:
        """Return new ones, to be filled."""
        for kind in KINDS:
            path = directory / f"{kind}.npy"
            np.lib.format.open_memmap(path, "w+", np.float32, tokens.scored.shape).flush()
        return cls(directory, tokens, "r+")

    def at(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return the losses (n,) float64, in nats, of scored tokens by their numbers (n,)."""
        places = np.searchsorted(self._scored, numbers)
        return {kind: kept[places].astype(np.float64) for kind, kept in self._arrays.items()}

    def put(self, numbers: np.ndarray, losses: Mapping[str, np.ndarray]) -> None:
        """Keep the losses (n,) of scored tokens."""
        places = np.searchsorted(self._scored, numbers)
        for kind, kept in self._arrays.items():
            kept[places] = losses[kind]

    def flush(self) -> None:
        """Write what was put."""
        for kept in self._arrays.values():
            kept.flush()


def open_losses(inputs: Mapping[str, Any]) -> tuple[Sequences, Losses]:
    """Return the tokens whose losses were kept, and these.

    Parameters
    ----------
    inputs
        ``tokens``, and ``clean``, the record of that measure.
    """
    tokens = evaluated_tokens(inputs["tokens"], read_json(inputs["clean"])["limit"])
    return tokens, Losses(bulk_of(inputs["clean"]), tokens)
