"""Sums over tokens, kept per document and per latent: what every reconstruction metric needs.

Accumulation is in float64 and goes token by token in the store's order, so the result does not
depend on how the tokens were cut into batches. No metric is formed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch.linalg import vecdot

from saeflow.sae.sparse.codes import Codes

# Of a part of the rows in float64, which is to fit a core's cache: they are read several times.
_PART_BYTES = 1 << 19


class RowValues(NamedTuple):
    """What one SAE gives on each of n tokens; every field (n,) float64.

    Attributes
    ----------
    active : ndarray
        Latents unequal zero.
    activation : ndarray
        Sum of the latents.
    squared_error : ndarray
        |x_hat - x|^2.
    squared_deviation : ndarray
        |x - mu|^2.
    squared_norm, squared_norm_hat, inner : ndarray
        |x|^2, |x_hat|^2 and <x, x_hat>.
    norm_ratio : ndarray
        |x_hat| / |x|; 0 where x is zero.
    cosine : ndarray
        cos(x, x_hat); 0 where one of the two is zero.
    directed : ndarray
        1 where x is not zero: the tokens over which norm_ratio and cosine are averaged.
    """

    active: np.ndarray
    activation: np.ndarray
    squared_error: np.ndarray
    squared_deviation: np.ndarray
    squared_norm: np.ndarray
    squared_norm_hat: np.ndarray
    inner: np.ndarray
    norm_ratio: np.ndarray
    cosine: np.ndarray
    directed: np.ndarray


def row_values(x: torch.Tensor, x_hat: torch.Tensor, codes: Codes, mean: torch.Tensor) -> RowValues:
    """Measure one batch of tokens.

    Parameters
    ----------
    x, x_hat : Tensor (n, d_in)
        Activations and their reconstruction.
    codes
        The SAE's code of each.
    mean : Tensor (d_in,) float64
        The mean of x over all evaluated tokens.
    """
    n = max(1, _PART_BYTES // (8 * x.shape[1]))
    parts = [_of_vectors(*rows, mean) for rows in zip(x.split(n), x_hat.split(n), strict=True)]
    of_vectors = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    rows, _, values = _entries(codes)
    return RowValues(
        active=np.bincount(rows, minlength=len(x)).astype(np.float64),
        activation=np.bincount(rows, weights=values, minlength=len(x)),
        **{name: value.cpu().numpy() for name, value in of_vectors.items()},
    )


def _of_vectors(
    x: torch.Tensor, x_hat: torch.Tensor, mean: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return the fields of `RowValues` that need no code, each (n,) float64."""
    x, x_hat = x.double(), x_hat.double()
    error, deviation = x_hat - x, x - mean
    squared_norm, squared_norm_hat, inner = vecdot(x, x), vecdot(x_hat, x_hat), vecdot(x, x_hat)
    norms, norms_hat = squared_norm.sqrt(), squared_norm_hat.sqrt()
    return {
        "squared_error": vecdot(error, error),
        "squared_deviation": vecdot(deviation, deviation),
        "squared_norm": squared_norm,
        "squared_norm_hat": squared_norm_hat,
        "inner": inner,
        "norm_ratio": _ratio(norms_hat, norms),
        "cosine": _ratio(inner, norms * norms_hat),
        "directed": (norms > 0).double(),
    }


def _entries(codes: Codes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return token, latent and value (float64) of the entries that are not zero."""
    values = codes.values.double().cpu().numpy()
    nonzero = values != 0
    rows, index = codes.rows.cpu().numpy(), codes.index.cpu().numpy()
    return rows[nonzero], index[nonzero], values[nonzero]


def _ratio(above: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
    """Divide (n,) by (n,), giving 0 where the divisor is 0."""
    return torch.where(below > 0, above / below.clamp(min=torch.finfo(below.dtype).tiny), 0.0)


class DocumentSums:
    """Sums of named values over the tokens of each document.

    Parameters
    ----------
    documents : ndarray (n_tokens,)
        The document of every evaluated token, in any order.

    Attributes
    ----------
    ids : ndarray (n_documents,)
        The documents, rising.
    columns : dict
        Name -> (n_documents,) float64.
    """

    def __init__(self, documents: np.ndarray) -> None:
        self.ids = np.unique(documents)
        self.columns: dict[str, np.ndarray] = {}

    @property
    def n_documents(self) -> int:
        """Number of documents with at least one evaluated token."""
        return len(self.ids)

    def add(self, documents: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """Add values (n,) of tokens of ``documents`` (n,), one token after the other."""
        index = np.searchsorted(self.ids, documents)
        for name, column in values.items():
            sums = self.columns.setdefault(name, np.zeros(self.n_documents))
            np.add.at(sums, index, column)


class LatentSums:
    """Sums over tokens for each latent.

    Parameters
    ----------
    d_sae
        Number of latents.

    Attributes
    ----------
    fired : ndarray (d_sae,) int64
        Tokens on which the latent is unequal zero.
    activation_sum, activation_squared_sum : ndarray (d_sae,) float64
        Sums of the latent and of its square.
    activation_max : ndarray (d_sae,) float64
        The largest value; 0 for a latent that never fired.
    """

    def __init__(self, d_sae: int) -> None:
        self.fired = np.zeros(d_sae, dtype=np.int64)
        self.activation_sum = np.zeros(d_sae)
        self.activation_squared_sum = np.zeros(d_sae)
        self.activation_max = np.full(d_sae, -np.inf)

    def add(self, codes: Codes) -> None:
        """Add the codes of some tokens, one entry after the other."""
        _, index, values = _entries(codes)
        self.fired += np.bincount(index, minlength=len(self.fired))
        np.add.at(self.activation_sum, index, values)
        np.add.at(self.activation_squared_sum, index, np.square(values))
        np.maximum.at(self.activation_max, index, values)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the sums as columns (d_sae,) of a table."""
        return {
            "fired": self.fired,
            "activation_sum": self.activation_sum,
            "activation_squared_sum": self.activation_squared_sum,
            "activation_max": np.where(self.fired > 0, self.activation_max, 0.0),
        }
