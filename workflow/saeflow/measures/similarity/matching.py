"""The columns that one similarity gives to both SAEs of a pair. Read `match`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from saeflow.measures.similarity.assignment import LEFT_OVER, may_be_dense, one_to_one
from saeflow.measures.similarity.best import Best, best, best_of_rows
from saeflow.measures.similarity.cosines import Similar
from saeflow.metrics.similarity import MATCH, ONE, column

Columns = dict[str, np.ndarray]


class Quantity(NamedTuple):
    """A similarity of the latents of two SAEs, and the same with what chance gives.

    Attributes
    ----------
    name : str
        As in `saeflow.metrics.similarity.QUANTITIES`.
    similar : Similar
        (n, m), of the first SAE's latents and the second's.
    nulls : dict
        Name -> the similarities (n, m) of the first with something in the place of the second,
        and (m, n) of the second with the same in the place of the first.
    """

    name: str
    similar: Similar
    nulls: Mapping[str, tuple[Similar, Similar]]


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
    best: tuple[Best, Best]


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
    limits = {"limit": settings["one_to_one"], "candidates": settings["candidates"]}
    found, partners = best(quantity.similar), one_to_one(quantity.similar, **limits)
    columns: tuple[Columns, Columns] = ({}, {})
    for side, others in enumerate(reversed(latents)):
        own = columns[side]
        own |= _columns(quantity.name, found[side], others)
        own |= _columns(column(quantity.name, ONE), partners[side], others)
        for name, similar in quantity.nulls.items():
            null = column(quantity.name, name)
            own[null] = best_of_rows(similar[side]).value
            if may_be_dense(similar[side].shape, limits["limit"]):
                own[column(null, ONE)] = one_to_one(similar[side], **limits)[0].value
    return Matched(columns, found)


def _columns(name: str, found: Best, others: np.ndarray) -> Columns:
    there = found.match != LEFT_OVER
    number = np.full(len(there), LEFT_OVER)
    number[there] = others[found.match[there]]
    return {name: found.value, column(name, MATCH): number}
