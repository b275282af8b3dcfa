"""On which tokens the descendants of an SAE's latents are active in a wider SAE.

`measure_splitting` is the job. Absorption is after Chanin et al. 2024, A is for absorption: a
latent that ought to be active is not, and one that is more special has its direction too; here of
two widths, so that the narrower SAE says where it ought to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

from saeflow.logs import progress
from saeflow.measures.codes.by_latent import starts_of
from saeflow.measures.similarity.best import best
from saeflow.measures.similarity.cosines import Cosines
from saeflow.measures.similarity.sides import Side, Sides
from saeflow.measures.sums import write_table
from saeflow.metrics.splitting import LEAST, NARROW, WIDE
from saeflow.task import Task


class Descent(NamedTuple):
    """Who comes from whom, by places among the live latents of both SAEs; -1 for nobody.

    Attributes
    ----------
    main : ndarray (n,) int64
        Of each latent of the narrower SAE the one of the wider SAE that goes on with it.
    main_cosine : ndarray (n,) float64
        Of the most similar one, whether it does or not.
    parent : ndarray (m,) int64
        Of each latent of the wider SAE the one that it comes from.
    cosine : ndarray (m,) float64
        Of the most similar one.
    """

    main: np.ndarray
    main_cosine: np.ndarray
    parent: np.ndarray
    cosine: np.ndarray

    @property
    def children(self) -> np.ndarray:
        """The wider SAE's latents that have a parent and do not go on with it, (k,) int64."""
        born = np.flatnonzero(self.parent >= 0)
        return born[self.main[self.parent[born]] != born]


def measure_splitting(tasks: Sequence[Task]) -> None:
    """Count where descendants are active, and finish tasks.

    The pairs are of two widths. Inputs: ``sae`` and ``codes`` of the first, and ``other_sae`` and
    ``other_codes``. Works get ``narrow.parquet``, a row per live latent of the narrower SAE:
    latent, active (tokens), main and main_cosine, n_children; and tokens on which it is active:
    kept, with its main latent, and absorbed, without that but with a child; and on which a child is
    active at all, children_active; and ``wide.parquet``: latent, active, parent, cosine, and
    together, tokens on which both are. -1 for no latent.
    """
    sides = Sides()
    with threadpool_limits(1, user_api="blas"):
        for task in progress(tasks, desc="splitting", unit="pairs"):
            with task.attempt():
                # the activations only say which hooks SAEs give back, and these have one
                pair = sides.of({"activations": Path(), **task.inputs})
                narrow, wide = sorted(pair, key=lambda side: side.codes.d_sae)
                _write(task, narrow, wide, descent(narrow, wide))


def descent(narrow: Side, wide: Side) -> Descent:
    """Return who comes from whom, by the cosines of decoder rows."""
    mains, parents = best(Cosines(narrow.decoder, wide.decoder))
    return Descent(
        np.where(mains.value >= LEAST, mains.match, -1),
        mains.value,
        np.where(parents.value >= LEAST, parents.match, -1),
        parents.value,
    )


def _write(task: Task, narrow: Side, wide: Side, found: Descent) -> None:
    counted = count(narrow, wide, found)
    n_children = np.bincount(found.parent[found.children], minlength=len(narrow.latents))
    own = {name: narrow.columns[name] for name in ("latent", "active")}
    own |= {"main": _named(wide, found.main), "main_cosine": found.main_cosine}
    own |= {"n_children": n_children} | {name: counted[name] for name in _OF_NARROW}
    write_table(task.work.path / NARROW, own)
    other = {name: wide.columns[name] for name in ("latent", "active")}
    other |= {"parent": _named(narrow, found.parent), "cosine": found.cosine}
    write_table(task.work.path / WIDE, other | {"together": counted["together"]})
    codes = narrow.codes.facts
    task.finish({name: codes[name] for name in ("n_tokens", "n_documents")})


def _named(side: Side, places: np.ndarray) -> np.ndarray:
    """Return the numbers of latents at places; -1 for nobody."""
    return np.where(places >= 0, side.latents[places], -1)


_OF_NARROW = ("kept", "absorbed", "children_active")


def count(narrow: Side, wide: Side, found: Descent) -> dict[str, np.ndarray]:
    """Return on how many tokens what is active, part of the tokens by part.

    (n,) of the narrower SAE: kept, absorbed, children_active; (m,) of the wider one: together.
    """
    n, m = len(narrow.latents), len(wide.latents)
    going_on, born = np.flatnonzero(found.main >= 0), np.flatnonzero(found.parent >= 0)
    to_main = _pairs(found.main[going_on], going_on, (m, n))
    to_parent = _pairs(found.children, found.parent[found.children], (m, n))
    from_parent = _pairs(found.parent[born], born, (n, m))
    totals = {name: np.zeros(n, np.int64) for name in _OF_NARROW}
    totals["together"] = np.zeros(m, np.int64)
    per_token = np.diff(narrow.codes.offsets) + np.diff(wide.codes.offsets)
    borders = [*starts_of(per_token).tolist(), narrow.codes.n_tokens]
    for first, end in zip(borders[:-1], borders[1:], strict=True):
        own, other = (_active(side, slice(first, end)) for side in (narrow, wide))
        kept = own.multiply(other @ to_main)
        some = _ones(other @ to_parent)
        with_child = own.multiply(some)
        parts = {
            "kept": kept,
            "absorbed": with_child - with_child.multiply(kept),
            "children_active": some,
            "together": other.multiply(own @ from_parent),
        }
        for name, part in parts.items():
            totals[name] += part.sum(axis=0)
    return totals


def _pairs(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> csr_array:
    return csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=shape)


def _active(side: Side, tokens: slice) -> csr_array:
    """Return where live latents are active on some tokens, (n_tokens, n) of ones."""
    latents = side.codes.matrix(side.latents, tokens)
    latents.data = (latents.data > 0).astype(np.int32)
    latents.eliminate_zeros()
    return latents


def _ones(matrix: csr_array) -> csr_array:
    matrix.data = np.ones_like(matrix.data)
    return matrix
