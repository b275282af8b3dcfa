"""Codes of several SAEs, computed once for those that share an encoder.

Fine-tuning by a decoder-side method leaves the encoder as it was: an SAE and those made of it that
way differ in what they make of the same codes. Read `Encoders`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch

from saeflow.sae.model import SAE
from saeflow.sae.sparse.codes import Codes


class Coder(Protocol):
    """What is asked of an SAE."""

    d_sae: int

    def encode_sparse(self, x: torch.Tensor) -> Codes:
        """Return the latents of x (n, d_in)."""

    def decode(self, latents: Codes) -> torch.Tensor:
        """Return the reconstruction (n, d_in)."""


class Encoders:
    """The encoders of some SAEs.

    Parameters
    ----------
    coders
        The SAEs.

    Attributes
    ----------
    first : list of int
        For each SAE the place of the first one with its encoder; its own where it is the first.
    """

    def __init__(self, coders: Sequence[Coder]) -> None:
        self._coders = coders
        self.first: list[int] = []
        for place, coder in enumerate(coders):
            known = sorted(set(self.first))
            alike = (other for other in known if _alike(coder, coders[other]))
            self.first.append(next(alike, place))

    def pairs(self, x: torch.Tensor) -> Iterator[tuple[Coder, Codes]]:
        """Yield each SAE and its codes of x (n, d_in): one object where the encoder is one."""
        found: dict[int, Codes] = {}
        for coder, first in zip(self._coders, self.first, strict=True):
            if first not in found:
                found[first] = coder.encode_sparse(x)
            yield coder, found[first]


def _alike(one: Coder, other: Coder) -> bool:
    return isinstance(one, SAE) and isinstance(other, SAE) and one.encodes_like(other)
