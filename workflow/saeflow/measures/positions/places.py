"""Sums of an SAE by document and range of positions, and by exact position.

Read `Places`; `Truth` is what reconstructions are held against.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.linalg import vecdot

from saeflow.activations.reader import open_store
from saeflow.measures.positions.seen import Part
from saeflow.measures.reconstruction import Evaluated
from saeflow.measures.sums import DocumentSums
from saeflow.metrics.positions import BEYOND, WITHIN

Columns = dict[str, np.ndarray]


class Places:
    """Sums over the tokens of a part, special ones apart.

    ``ends`` (n + 1,) are those of ranges of positions, `saeflow.metrics.positions.ranges`.
    """

    def __init__(self, part: Part, ends: np.ndarray) -> None:
        self._ends, self._documents = ends, part.tokens.documents.astype(np.int64)
        self._position, self._special = part.positions, part.tokens.special.astype(np.int64)
        self._range = range_of(self._position, ends)
        every, scored = np.arange(len(part.rows)), part.tokens.scored
        pairs = [(every, every), (scored, scored - 1)]
        self._sums = tuple(
            DocumentSums(np.concatenate([of(*pair) for pair in pairs]))
            for of in (self._by_range, self._by_position)
        )

    def add(self, numbers: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """Add values (n,) of tokens by their numbers in the part."""
        self._add(numbers, numbers, values)

    def add_losses(self, numbers: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        """Add losses (n,) of predicted tokens, at the positions of those before them."""
        self._add(numbers, numbers - 1, values)

    def by_range(self) -> Columns:
        """Return document, special, first and last position of a range, and sums, (n,) each."""
        columns = self._sums[0].columns(0)
        rest, special = np.divmod(columns.pop("document"), 2)
        document, place = np.divmod(rest, len(self._ends))
        where = {"document": document, "special": special.astype(bool)}
        return where | {"first": self._ends[place], "last": self._ends[place + 1] - 1, **columns}

    def by_position(self) -> Columns:
        """Return position, special and sums, (n,) each."""
        columns = self._sums[1].columns(0)
        position, special = np.divmod(columns.pop("document"), 2)
        return {"position": position, "special": special.astype(bool), **columns}

    def _add(self, of: np.ndarray, at: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
        for sums, keys in zip(self._sums, (self._by_range, self._by_position), strict=True):
            sums.add(keys(of, at), values, of=0)

    def _by_range(self, of: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return a number for the document of tokens and the range and kind of others."""
        return 2 * (self._documents[of] * len(self._ends) + self._range[at]) + self._special[at]

    def _by_position(self, of: np.ndarray, at: np.ndarray) -> np.ndarray:  # noqa: ARG002
        return 2 * self._position[at] + self._special[at]


class Truth:
    """What reconstructions of a part's tokens are held against.

    ``means`` (2 * n_ranges, d) float64 are those of ordinary tokens, then of special ones, in each
    range of positions, of which ``ends`` are the ends.
    """

    def __init__(self, part: Part, ends: np.ndarray, means: torch.Tensor) -> None:
        self._kind, self._means = _kinds(part, ends), means

    @classmethod
    def of_store(cls, activations: Path, part: Part, ends: np.ndarray) -> Truth:
        """Return it with the means of stored activations over the part's tokens."""
        kinds = torch.from_numpy(_kinds(part, ends))
        with open_store(activations) as store:
            total = torch.zeros(2 * (len(ends) - 1), store.d_model, dtype=torch.float64)
            rows = Evaluated(store.activations, part.rows, part.tokens.documents)
            for start, x in rows.batches():
                total.index_add_(0, kinds[start : start + len(x)], x.double())
        counts = torch.bincount(kinds, minlength=len(total)).clamp(min=1)
        return cls(part, ends, total / counts[:, None])

    def of(self, x: torch.Tensor, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return what is summed of activations (n, d) of tokens and depends on no SAE."""
        wide = x.double()
        square = vecdot(wide, wide)
        off = wide - self._means.to(x.device)[torch.from_numpy(self._kind[numbers]).to(x.device)]
        return {
            "tokens": np.ones(len(x)),
            "norm": square.sqrt().cpu().numpy(),
            "squared_norm": square.cpu().numpy(),
            "squared_deviation": vecdot(off, off).cpu().numpy(),
        }


def range_of(positions: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the number of the range that each position lies in."""
    return np.searchsorted(ends, positions, side="right") - 1


def sides(columns: Columns, border: int | None) -> Columns:
    """Return the sums of ordinary tokens of each document within a border and beyond it.

    Parameters
    ----------
    columns
        What `Places.by_range` gives.
    border
        Position at which a range begins; None where it is not known: then both are 0.

    Returns
    -------
    dict
        document and ``within_<sum>``, ``beyond_<sum>``, (n_documents,) each.
    """
    documents, place = np.unique(columns["document"], return_inverse=True)
    names = [n for n in columns if n not in ("document", "special", "first", "last")]
    ordinary = ~columns["special"]
    found = {"document": documents}
    for side in (WITHIN, BEYOND):
        behind = columns["first"] >= (np.inf if border is None else border)
        wanted = ordinary & (behind if side == BEYOND else ~behind) & (border is not None)
        for name in names:
            found[f"{side}{name}"] = np.bincount(
                place, np.where(wanted, columns[name], 0.0), len(documents)
            )
    return found


def _kinds(part: Part, ends: np.ndarray) -> np.ndarray:
    """Return a number for the range and the kind of each token, (n_tokens,) int64."""
    return 2 * range_of(part.positions, ends) + part.tokens.special
