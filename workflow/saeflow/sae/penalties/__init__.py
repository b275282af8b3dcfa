"""Further terms of a loss, one per module, loaded by name: ``penalties: {NAME: coefficient}``.

A module has ``add(coefficient, sae, gradients, batch, state, terms) -> float``: it adds its
gradients to those that the architecture's step wrote (``gradients``, by name, with the strides of
the weights) and returns its value, coefficient included. ``sae`` is the `saeflow.sae.model.SAE` of
the weights in training, ``terms`` what the step measured. Like a step it is a function of its
arguments alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from saeflow import registry
from saeflow.sae.model import SAE
from saeflow.sae.steps.step import Batch, State, Terms, Weights


def add(
    penalties: Mapping[str, float],
    sae: SAE,
    gradients: Weights,
    batch: Batch,
    state: State,
    terms: Terms,
) -> Terms:
    """Add the gradients of a recipe's ``penalties`` to a step's, and their values to its terms."""
    value = 0.0
    for name, coefficient in penalties.items():
        penalty = registry.load("sae.penalties", name)
        value += penalty.add(coefficient, sae, gradients, batch, state, terms)
    return dataclasses.replace(terms, loss=terms.loss + value, penalty=terms.penalty + value)
