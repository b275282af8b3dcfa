"""The columns that one similarity gives to both SAEs of a pair. Read `match`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from saeflow.measures.similarity.assignment import LEFT_OVER, may_be_dense, one_to_one
from saeflow.measures.similarity.best import Best, best, hold
from saeflow.measures.similarity.cosines import Similar
from saeflow.metrics.similarity import MATCH, ONE, column

Columns = dict[str, np.ndarray]
Both = tuple[Best, Best]
"""Of the first SAE's latents and of the second's."""


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
    Partners by chance are not looked for where there are so many latents that partners are looked
    for among candidates: the best match by chance is a little more there.
    """
    found, partners = _find(quantity.similar, settings)
    columns: tuple[Columns, Columns] = ({}, {})
    for side, others in enumerate(reversed(latents)):
        columns[side].update(_columns(quantity.name, found[side], others))
        columns[side].update(_columns(column(quantity.name, ONE), partners[side], others))
    for name, similar in quantity.nulls.items():
        null = column(quantity.name, name)
        for side, (best_by_chance, partners) in enumerate(_by_chance(similar, settings)):
            columns[side][null] = best_by_chance.value
            if partners is not None:
                columns[side][column(null, ONE)] = partners.value
    return Matched(columns, found)


def _find(similar: Similar, settings: Mapping[str, Any], *, null: bool = False) -> tuple:
    """Return the best matches of both sides, and the partners, None where not looked for."""
    limit = settings["one_to_one"]
    if may_be_dense(similar.shape, limit):
        similar = hold(similar)  # which both look at
    elif null:
        return best(similar), (None, None)
    partners = one_to_one(similar, limit=limit, candidates=settings["candidates"])
    return best(similar), partners


def _by_chance(
    similar: tuple[Similar, ...], settings: Mapping[str, Any]
) -> list[tuple[Best, Best | None]]:
    """Return the best match and the partner by chance, of each side."""
    found = [list(zip(*_find(one, settings, null=True), strict=True)) for one in similar]
    return found[0] if len(found) == 1 else [of_one[0] for of_one in found]


def _columns(name: str, found: Best, others: np.ndarray) -> Columns:
    there = found.match != LEFT_OVER
    number = np.full(len(there), LEFT_OVER)
    number[there] = others[found.match[there]]
    return {name: found.value, column(name, MATCH): number}
