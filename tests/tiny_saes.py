"""Small SAEs of random weights, what stands for one, and sequences to measure them on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saeflow.errors import ModelError
from saeflow.sae.model import SAE, architecture_settings
from saeflow.sae.saved.save import save
from saeflow.sae.sparse.codes import Codes
from saeflow.tokens.sequences import Sequences
from saeflow.work import hold


def make_sae(
    width: int = 48,
    d: int = 16,
    seed: int = 0,
    *,
    bias: float = -0.5,
    b_dec: float = 0.0,
    scale: float = 1.0,
    **metadata: Any,
) -> SAE:
    """Return a ReLU SAE of random unit directions, which it writes ``scale`` times."""
    g = torch.Generator().manual_seed(seed)
    W_dec = torch.nn.functional.normalize(torch.randn(width, d, generator=g), dim=1)
    weights = {
        "W_enc": W_dec.T.clone(), "b_enc": torch.full((width,), bias),
        "W_dec": scale * W_dec, "b_dec": torch.full((d,), b_dec),
    }  # fmt: skip
    return SAE("relu", architecture_settings("relu", {"l1": 0.0}), weights, metadata)


def publish_sae(root: Path, sae: SAE, facts: Mapping[str, Any] = {}) -> Path:
    """Save an SAE as a finished ``sae.json`` in a directory; return the record."""
    with hold(root / "sae.json", f"sae {root.name}") as work:
        save(sae, work.path)
        work.finish(facts)
    return root / "sae.json"


class Rescale:
    """Reconstructs x as factor * x + shift along the first axis; its only latent is always 1."""

    d_sae = 1

    def __init__(self, factor: float = 1.0, shift: float = 0.0) -> None:
        self.factor, self.shift = factor, shift

    def encode_sparse(self, x: torch.Tensor) -> Codes:
        self.x, n = x, len(x)
        offsets = torch.arange(n + 1, dtype=torch.int32)
        return Codes(torch.ones(n), torch.zeros(n, dtype=torch.int32), offsets, 1)

    def decode(self, codes: Codes) -> torch.Tensor:
        return self.factor * self.x + self.shift * torch.eye(self.x.shape[1])[0]


class Failing(Rescale):
    """Cannot be decoded."""

    def decode(self, codes: Codes) -> torch.Tensor:
        raise ModelError("it cannot be decoded")


def make_sequences(
    lengths: Sequence[int],
    *,
    separators: Sequence[int] = (),
    documents: Mapping[int, slice] = {},
    seed: int = 0,
) -> Sequences:
    """Return random tokens: a BOS before each sequence, special ones at ``separators`` too.

    Each sequence is a document, but for the tokens that others have.
    """
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    special = np.zeros(offsets[-1], dtype=bool)
    special[[*offsets[:-1], *separators]] = True
    of = np.repeat(np.arange(len(lengths)), lengths)
    for document, own in documents.items():
        of[own] = document
    ids = np.random.default_rng(seed).integers(3, 61, offsets[-1])
    return Sequences(ids, of, special, offsets)
