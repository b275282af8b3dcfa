"""The rotation that brings the activations of one hook nearest to those of another.

Directions of two models, or of two layers, have nothing in common by themselves: the coordinates of
a residual stream are arbitrary. What the activations on the same tokens have in common decides how
one space is turned onto the other (orthogonal Procrustes, Schönemann 1966). Read `align`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saeflow.activations.excerpts import ordinary_rows
from saeflow.activations.reader import Store, open_store
from saeflow.errors import DataError, StoreError
from saeflow.measures.reconstruction import Evaluated
from saeflow.measures.similarity.cosines import unit

FITTED, HELD_OUT = "train", "test"


class Alignment(NamedTuple):
    """How the spaces of two hooks are turned onto each other.

    Attributes
    ----------
    rotation : ndarray (d, d_other) float64
        Of rows of the first space; its transpose is that of rows of the second.
    onto_second : bool
        Whether the first space is brought into the second or that into the first: always the one
        that is not wider, whose lengths and angles are kept.
    tokens : int
        On how many it was fitted.
    explained : float
        The share of the variance of one hook's activations, on as many tokens of the test split,
        that those of the other explain after the rotation and one common scale.
    """

    rotation: np.ndarray
    onto_second: bool
    tokens: int
    explained: float

    @property
    def facts(self) -> dict[str, float]:
        """What a record says of it."""
        return {"tokens": self.tokens, "explained": self.explained}

    def turn(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bring directions (n, d) and (m, d_other) into one space, float32."""
        if self.onto_second:
            return unit(first @ self.rotation), second
        return first, unit(second @ self.rotation.T)


class Alignments:
    """How hooks are turned onto each other, each two once, in either order.

    Parameters
    ----------
    tokens
        As of `align`.
    """

    def __init__(self, tokens: int) -> None:
        self._align = cache(lambda first, second: align(first, second, tokens))

    def of(self, first: Path, second: Path) -> Alignment:
        """Return the alignment of two hooks by the records of their activations; see `align`."""
        if first <= second:
            return self._align(first, second)
        found = self._align(second, first)
        return found._replace(rotation=found.rotation.T, onto_second=not found.onto_second)


class Moments(NamedTuple):
    """Of two sets of activations on the same tokens, with their means taken off.

    Attributes
    ----------
    cross : ndarray (d, d_other) float64
        Sum over tokens of the products of their coordinates.
    squared : tuple of float
        Sum over tokens of the squared norm of each.
    """

    cross: np.ndarray
    squared: tuple[float, float]

    def explained(self, rotation: np.ndarray) -> float:
        """Return the share of variance that a rotation explains with the best scale."""
        above, below = float((self.cross * rotation).sum()), self.squared[0] * self.squared[1]
        return max(above, 0.0) ** 2 / below if below > 0 else 0.0


def align(first: Path, second: Path, tokens: int) -> Alignment:
    """Fit the rotation between the activations of two hooks.

    Parameters
    ----------
    first, second
        Records of activations of the same tokens.
    tokens
        The first ordinary ones of the training split that are enough.

    Raises
    ------
    DataError
        If there is no training split, or it has fewer tokens than the spaces have dimensions.
    StoreError
        If the activations are not of the same tokens.
    """
    with open_store(first) as one, open_store(second) as other:
        _require_same_tokens(one, other)
        rows = {split: ordinary_rows(one, split)[:tokens] for split in (FITTED, HELD_OUT)}
        least = max(one.d_model, other.d_model)
        if len(rows[FITTED]) < least:
            raise DataError(
                "there are too few training tokens to align two hooks on",
                expected=f"{least:,} at least, one for each dimension",
                got=f"{len(rows[FITTED]):,}",
                remedy="Give the place of `evaluate_on` more tokens > train.",
            )
        rotation = procrustes(moments(one, other, rows[FITTED]).cross)
        explained = moments(one, other, rows[HELD_OUT]).explained(rotation)
    onto_second = rotation.shape[0] <= rotation.shape[1]
    return Alignment(rotation, onto_second, len(rows[FITTED]), explained)


def _require_same_tokens(one: Store, other: Store) -> None:
    if (tokens := one.record["tokens"]) != other.record["tokens"]:
        raise StoreError(
            "hooks are aligned by activations on the same tokens, and these are of others",
            where=other.path,
            expected=f"tokens {tokens[:16]}, as in {one.path}",
            got=f"tokens {other.record['tokens'][:16]}",
            remedy="Compare SAEs of models with one tokenizer, on one dataset and packing.",
        )


def procrustes(cross: np.ndarray) -> np.ndarray:
    """Return the matrix with orthonormal rows or columns (d, d_other) with the largest <R, cross>.

    That is the one with which x R is nearest to y in sum, where cross is the sum of x^T y.
    """
    left, _, right = np.linalg.svd(cross, full_matrices=False)
    return left @ right


def moments(first: Store, second: Store, rows: np.ndarray) -> Moments:
    """Add up what two stores have on some rows."""
    sums = [np.zeros(store.d_model) for store in (first, second)]
    cross, squared = np.zeros((first.d_model, second.d_model)), [0.0, 0.0]
    nobody = np.empty(0)
    batches = (Evaluated(store.activations, rows, nobody).batches() for store in (first, second))
    for (_, x), (_, y) in zip(*batches, strict=True):
        both = x.double().numpy(), y.double().numpy()
        cross += both[0].T @ both[1]
        for side, values in enumerate(both):
            sums[side] += values.sum(axis=0)
            squared[side] += float(np.einsum("td,td->", values, values))
    n = max(len(rows), 1)
    left = (total - own @ own / n for total, own in zip(squared, sums, strict=True))
    return Moments(cross - np.outer(sums[0], sums[1]) / n, tuple(left))
