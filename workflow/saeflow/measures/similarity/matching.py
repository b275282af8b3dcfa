"""The columns that one similarity gives to both SAEs of a pair. Read `match`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from saeflow.measures.similarity.assignment import LEFT_OVER, may_be_dense, one_to_one
from saeflow.measures.similarity.best import Best, best, hold
from saeflow.measures.similarity.cosines import Similar
from saeflow.metrics.similarity import GAUSSIAN, MATCH, ONE, TOKENS, column

Columns = dict[str, np.ndarray]
Both = tuple[Best, Best]
"""Of the first SAE's latents and of the second's."""

PARTNERED = (GAUSSIAN, TOKENS)
"""The nulls in which partners are looked for as well."""


class Quantity(NamedTuple):
    """A similarity of the latents of two SAEs, and the same with what chance gives.

    Attributes
    ----------
    name : str
        As in `saeflow.metrics.similarity.QUANTITIES`.
    similar : Similar
        (n, m), of the first SAE's latents and the second's.
    nulls : dict
        Name -> the similarities (n, m) of the first SAE with something in the place of the second,
        and (m, n) of the second with something in the place of the first; or (n, m) alone, where
        these serve both.
    """

    name: str
    similar: Similar
    nulls: Mapping[str, tuple[Similar, ...]]


class Matched(NamedTuple):
    """What a similarity gives.

    Attributes
    ----------
    columns : tuple of dict
        Of each SAE.
    best : tuple of Best
        The best matches of each, by their place among the live latents.
    """

    columns: tuple[Columns, Columns]
    best: Both


def match(
    quantity: Quantity, latents: tuple[np.ndarray, np.ndarray], settings: Mapping[str, Any]
) -> Matched:
    """Find the best match of each latent, its partner, and what chance gives it.

    Parameters
    ----------
    quantity
        The similarity.
    latents : tuple of ndarray (n,) and (m,)
        The numbers of the live latents of both SAEs.
    settings
        ``one_to_one`` and ``candidates``.

    Notes
    -----
    Partners by chance are looked for among random directions and shuffled tokens alone, and not
    where there are so many latents that partners are looked for among candidates: a partner by
    chance is hardly less alike than the best match by chance.
    """
    limit = settings["one_to_one"]
    limits = {"limit": limit, "candidates": settings["candidates"]}
    columns: tuple[Columns, Columns] = ({}, {})
    similar = quantity.similar
    few = may_be_dense(similar.shape, limit)
    similar = hold(similar) if few else similar  # which both look at
    found, partners = best(similar), one_to_one(similar, **limits)
    for side, others in enumerate(reversed(latents)):
        columns[side].update(_columns(quantity.name, found[side], others))
        columns[side].update(_columns(column(quantity.name, ONE), partners[side], others))
    for name, null in quantity.nulls.items():
        held = [hold(one, precise=False) if few else one for one in null]
        key = column(quantity.name, name)
        for own, value in zip(columns, _of_sides([best(one) for one in held]), strict=True):
            own[key] = value
        if few and name in PARTNERED:
            assigned = _of_sides([one_to_one(one, **limits) for one in held])
            for own, value in zip(columns, assigned, strict=True):
                own[column(key, ONE)] = value
    return Matched(columns, found)


def _of_sides(found: Sequence[Both]) -> list[np.ndarray]:
    """Return the values of the first SAE's latents and of the second's, see `Quantity.nulls`."""
    both = found[0] if len(found) == 1 else [of_rows for of_rows, _ in found]
    return [one.value for one in both]


def _columns(name: str, found: Best, others: np.ndarray) -> Columns:
    there = found.match != LEFT_OVER
    number = np.full(len(there), LEFT_OVER)
    number[there] = others[found.match[there]]
    return {name: found.value, column(name, MATCH): number}
