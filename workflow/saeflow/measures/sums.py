"""Sums over tokens, kept per document and per latent: what every metric of an SAE is formed from.

Accumulation is in float64 and goes token by token in the given order, so the result does not
depend on how the tokens were cut into batches. No metric is formed here;
`saeflow.metrics.reconstruction` says what the sums of a reconstruction are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.linalg import vecdot

from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.rows import on_cpu

# Of a part of the rows in float64, which is to fit a core's cache: they are read several times.
_PART_BYTES = 1 << 19


class Targets:
    """What SAEs are to give back of some tokens, to hold each one's reconstructions against.

    Parameters
    ----------
    x : Tensor (n, d_in)
        Activations.
    mean : Tensor (d_in,) float64
        The mean of x over all evaluated tokens.

    Attributes
    ----------
    sums : dict
        What is summed and depends on no SAE, name -> (n,) float64.
    """

    def __init__(self, x: torch.Tensor, mean: torch.Tensor) -> None:
        n = max(1, _PART_BYTES // (8 * x.shape[1])) if on_cpu(x) else max(1, len(x))
        self._parts = [part.double() for part in x.split(n)]
        self._rows = n
        self._squared_norm, squared_deviation = _columns(
            (vecdot(part, part), vecdot(part - mean, part - mean)) for part in self._parts
        )
        self.sums = {
            "tokens": np.ones(len(x)),
            "squared_deviation": squared_deviation,
            "squared_norm": self._squared_norm,
            "directed": (self._squared_norm > 0).astype(np.float64),
        }

    def compare(self, x_hat: torch.Tensor) -> dict[str, np.ndarray]:
        """Return what is summed of reconstructions (n, d_in), name -> (n,) float64."""
        parts = zip(self._parts, x_hat.split(self._rows), strict=True)
        error, norm, inner = _columns(_compare(x, part.double()) for x, part in parts)
        norms, norms_hat = np.sqrt(self._squared_norm), np.sqrt(norm)
        return {
            "squared_error": error,
            "squared_norm_hat": norm,
            "inner": inner,
            "norm_ratio": ratio(norms_hat, norms),
            "cosine": ratio(inner, norms * norms_hat),
        }


def _compare(x: torch.Tensor, x_hat: torch.Tensor) -> tuple[torch.Tensor, ...]:
    error = x_hat - x
    return vecdot(error, error), vecdot(x_hat, x_hat), vecdot(x, x_hat)


def _columns(parts) -> np.ndarray:
    """Return columns (n_columns, n) float64 of tuples of tensors (n_part,), part after part."""
    return torch.cat([torch.stack(part) for part in parts], dim=1).cpu().numpy()


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide (n,) by (n,), giving 0 where the divisor is 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


class Entries(NamedTuple):
    """The entries of codes that are not zero, on the CPU.

    Attributes
    ----------
    n : int
        Number of tokens.
    rows, index : Tensor (n_active,) int64
        Token and latent of each.
    values : Tensor (n_active,) float64
    """

    n: int
    rows: torch.Tensor
    index: torch.Tensor
    values: torch.Tensor

    @classmethod
    def of(cls, codes: Codes) -> Entries:
        """Return those of ``codes``."""
        parts = [p.cpu() for p in (codes.rows, codes.index.long(), codes.values.double())]
        nonzero = parts[-1] != 0
        if not nonzero.all():  # as in codes that were not made by a threshold
            parts = [part[nonzero] for part in parts]
        return cls(len(codes), *parts)

    @property
    def sums(self) -> dict[str, np.ndarray]:
        """What is summed per token: the number of active latents and their sum, (n,) float64."""
        active, activation = np.zeros(self.n), np.zeros(self.n)
        add_at(active, self.rows, torch.ones_like(self.values))
        add_at(activation, self.rows, self.values)
        return {"active": active, "activation": activation}


def add_at(sums: np.ndarray, index: torch.Tensor, values: torch.Tensor) -> None:
    """Add ``values`` (n,) to ``sums`` at ``index`` (n,), one by one; faster than NumPy."""
    torch.from_numpy(sums).scatter_add_(0, index, values)


class DocumentSums:
    """Sums of named values over the tokens of each document, of several SAEs at once.

    ``documents`` (n_tokens,) are those of every evaluated token, in any order.
    """

    def __init__(self, documents: np.ndarray) -> None:
        self._ids = np.unique(documents)
        self._sums: dict[int | None, dict[str, np.ndarray]] = {}

    def add(
        self, documents: np.ndarray, values: Mapping[str, np.ndarray], *, of: int | None = None
    ) -> None:
        """Add values (n,) of tokens of ``documents`` (n,), one token after the other.

        ``of`` is the number of the SAE whose values they are; None for values that all share.
        """
        index = np.searchsorted(self._ids, documents)
        sums = self._sums.setdefault(of, {})
        for name, column in values.items():
            np.add.at(sums.setdefault(name, np.zeros(len(self._ids))), index, column)

    def columns(self, of: int | None = None) -> dict[str, np.ndarray]:
        """Return ``document`` and the sums of an SAE, (n_documents,), the shared first."""
        shared = self._sums.get(None, {})
        return {"document": self._ids, **shared, **(self._sums[of] if of is not None else {})}


class LatentSums:
    """Sums over tokens for each latent, (d_sae,) each.

    Attributes
    ----------
    fired : int64
        Tokens on which the latent is unequal zero.
    activation_sum, activation_squared_sum : float64
        Sums of the latent and of its square.
    activation_max : float64
        The largest value; -inf for a latent that never fired.
    """

    def __init__(self, d_sae: int) -> None:
        self.fired = np.zeros(d_sae, dtype=np.int64)
        self.activation_sum = np.zeros(d_sae)
        self.activation_squared_sum = np.zeros(d_sae)
        self.activation_max = np.full(d_sae, -np.inf)

    def add(self, entries: Entries) -> None:
        """Add the codes of some tokens, one entry after the other."""
        index, values = entries.index, entries.values
        add_at(self.fired, index, torch.ones_like(index))
        add_at(self.activation_sum, index, values)
        add_at(self.activation_squared_sum, index, values.square())
        torch.from_numpy(self.activation_max).scatter_reduce_(0, index, values, "amax")

    def columns(self) -> dict[str, np.ndarray]:
        """Return the sums as columns (d_sae,) of a table; the largest value is 0 where none is."""
        return {
            "latent": np.arange(len(self.fired)),
            "fired": self.fired,
            "activation_sum": self.activation_sum,
            "activation_squared_sum": self.activation_squared_sum,
            "activation_max": np.where(self.fired > 0, self.activation_max, 0.0),
        }


def write_table(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns of one length to a parquet file whose bytes depend on their content alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({name: np.asarray(c) for name, c in columns.items()}), path)
