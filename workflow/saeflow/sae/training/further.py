"""Terms of a loss besides the architecture's own: modules of `penalties/`, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from saeflow import registry
from saeflow.sae.model import SAE
from saeflow.sae.steps.step import Batch, State, Terms

PENALTIES = "sae.penalties"

Term = tuple[Callable[..., float], float]


def terms(penalties: Mapping[str, float]) -> list[Term]:
    """Return the function and the coefficient of each of a recipe's ``penalties``."""
    return [(registry.load(PENALTIES, name).add, coef) for name, coef in penalties.items()]


def add(
    further: Sequence[Term],
    sae: SAE,
    gradients: Mapping[str, Tensor],
    batch: Batch,
    state: State,
    found: Terms,
) -> Terms:
    """Add the gradients of further terms to those of a step, and their values to its ``found``.

    Parameters
    ----------
    further
        What `terms` returned.
    sae
        Of the weights in training.
    gradients, batch, state
        As the step had them.
    found
        What it returned.
    """
    value = 0.0
    for function, coefficient in further:
        value += function(coefficient, sae, gradients, batch, state, found)
    return dataclasses.replace(found, loss=found.loss + value, penalty=found.penalty + value)
