"""Which similarities two SAEs have: those that mean something for them, and why not the others.

Read `quantities`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from saeflow.errors import DataError
from saeflow.measures.similarity.alignment import Alignment
from saeflow.measures.similarity.cooccurrence import Correlations
from saeflow.measures.similarity.cosines import Cosines
from saeflow.measures.similarity.matching import Quantity
from saeflow.measures.similarity.nulls import gaussian, shuffled, uniform
from saeflow.measures.similarity.sides import Side
from saeflow.metrics.similarity import (
    ALIGNED,
    COLUMNS,
    CORRELATION,
    COSINE,
    ENCODER,
    GAUSSIAN,
    TOKENS,
    UNCENTRED,
    UNIFORM,
)

PUBLISHED_TOKENS = 4_000
"""On how many tokens the post had its correlations: 30 beginnings of documents, of at most 1000
characters each."""


def of_weights(
    first: Side,
    second: Side,
    alignment: Callable[[], Alignment],
    settings: Mapping[str, Any],
    left_out: dict[str, str],
) -> Iterator[Quantity]:
    """Yield the similarities of the weights of two SAEs.

    Parameters
    ----------
    first, second
        The SAEs.
    alignment
        Returns how their spaces are turned onto each other; called where these are two. Where it
        raises a `DataError`, that is why this is left out.
    settings
        ``seed`` and ``published_mode``.
    left_out
        Gets what does not apply to them: its name, and why.
    """
    if bool(first.target) != bool(second.target):
        left_out[COSINE] = (
            "one SAE predicts another hook than it reads, the other does not: their decoder rows"
            " are directions of different spaces"
        )
    elif why := _of_two_widths(first.decoder, second.decoder, "decoder rows"):
        left_out[COSINE] = why
    else:
        nulls = [GAUSSIAN, COLUMNS] + [UNIFORM] * settings["published_mode"]
        yield _cosines(COSINE, first.decoder, second.decoder, nulls, settings["seed"])
    if first.space != second.space:
        try:
            turned = alignment().turn(first.decoder, second.decoder)
        except DataError as error:
            left_out[ALIGNED] = str(error)
        else:
            yield _cosines(ALIGNED, *turned, [GAUSSIAN, COLUMNS], settings["seed"])
    if why := _of_two_widths(first.encoder, second.encoder, "encoder columns"):
        left_out[ENCODER] = why
    else:
        seed = settings["seed"]
        yield _cosines(ENCODER, first.encoder, second.encoder, [GAUSSIAN, COLUMNS], seed)


def of_activations(first: Side, second: Side, settings: Mapping[str, Any]) -> Iterator[Quantity]:
    """Yield the similarities of the activations of two SAEs over tokens, correlations first.

    Parameters
    ----------
    first, second
        The SAEs.
    settings
        ``seed`` and ``published_mode``.
    """
    yield _correlations(CORRELATION, first, second, settings["seed"])
    if settings["published_mode"]:
        how = {"centred": False, "n_tokens": PUBLISHED_TOKENS}
        yield _correlations(UNCENTRED, first, second, settings["seed"], **how)


def _correlations(name: str, first: Side, second: Side, seed: int, **how: Any) -> Quantity:
    correlations = Correlations(first.codes, second.codes, **how)
    return Quantity(name, correlations, {TOKENS: (correlations.shuffled(seed),)})


def _of_two_widths(first: np.ndarray, second: np.ndarray, what: str) -> str:
    d, d_other = first.shape[1], second.shape[1]
    if d == d_other:
        return ""
    return f"{what} of {d} and of {d_other} coordinates have no cosine"


def _cosines(
    name: str, first: np.ndarray, second: np.ndarray, nulls: list[str], seed: int
) -> Quantity:
    """Return the cosines of directions, and those with what chance gives in place of either."""
    made = {
        GAUSSIAN: lambda rows: gaussian(*rows.shape, seed),
        UNIFORM: lambda rows: uniform(*rows.shape, seed),
        COLUMNS: lambda rows: shuffled(rows, seed),
    }
    chance = {
        null: (Cosines(first, made[null](second)), Cosines(second, made[null](first)))
        for null in nulls
    }
    return Quantity(name, Cosines(first, second), chance)
