"""Linear readers of concepts, on states as they are and as edits leave them.

The old reader was fitted before the edit, and is at a loss wherever the edit moves states; whether
the concept is gone is what a fresh one says, which is fitted to edited states. Read `Bench`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from saeflow.measures.encoders import Coder
from saeflow.measures.erasure.concepts import Concept
from saeflow.measures.erasure.edits import Coded, Edit
from saeflow.probing.fitted import Linear
from saeflow.probing.logistic import Stacked

PENALTY = 0.03
"""C of readers, of standardised states and the sum of the examples' losses. It is the same with and
without an edit, so that one that looks for little is not held against one that looks for much."""


def fit_readers(x: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> list[Linear]:
    """Return a logistic regression for each of some concepts.

    Parameters
    ----------
    x
        States (n, d) of each concept's examples.
    labels
        Their labels (n,), 0 and 1, of which both are there.

    Returns
    -------
    list of Linear
        Functions of states (n, d) to the log-odds (n,) of the positive class.
    """
    at = Stacked.of([np.asarray(own, dtype=np.float64) for own in x], standardise=True)
    return [one.first() for one in at.fit(at.stack([own == 1 for own in labels]), [PENALTY]).linear]


class Reading(NamedTuple):
    """What readers make of the test examples of a concept under an edit.

    Attributes
    ----------
    concept : Concept
        The one that is looked for.
    old, fresh : ndarray (n_test,) float64
        Log-odds of the positive class, by the reader of states as they are, and by that of edited
        ones.
    """

    concept: Concept
    old: np.ndarray
    fresh: np.ndarray


class Bench:
    """The states of some concepts' examples at a hook, and the readers that these have there.

    Parameters
    ----------
    x : ndarray (n_examples, d)
        States of all labelled texts.
    concepts
        What is looked for.
    machine
        Where edits are made.
    """

    def __init__(
        self, x: np.ndarray, concepts: Sequence[Concept], machine: torch.device | str = "cpu"
    ) -> None:
        parts = [part.numbers for c in concepts for part in (c.edit, c.read, c.test)]
        self._numbers = np.unique(np.concatenate(parts))
        self._x = torch.from_numpy(np.array(x[self._numbers], dtype=np.float32)).to(machine)
        self._concepts = concepts
        self._old = self._fitted(self._x.cpu().numpy())

    def states(self, numbers: np.ndarray) -> torch.Tensor:
        """Return the states (n, d) of some examples by their numbers."""
        rows = torch.from_numpy(np.searchsorted(self._numbers, numbers))
        return self._x.index_select(0, rows.to(self._x.device))

    def coded(self, coder: Coder) -> Coded:
        """Return what an SAE makes of all the states, for `read`."""
        return Coded.of(coder, self._x)

    def read(self, edit: Edit, coded: Coded | None = None) -> Iterator[Reading]:
        """Yield what readers of each concept make of states under an edit."""
        x = edit.of(self._x, coded).cpu().numpy()
        for concept, old, fresh in zip(self._concepts, self._old, self._fitted(x), strict=True):
            tested = x[np.searchsorted(self._numbers, concept.test.numbers)]
            yield Reading(concept, old(tested), fresh(tested))

    def _fitted(self, x: np.ndarray) -> list[Linear]:
        """Return a reader of each concept, fitted to states x of all examples."""
        return fit_readers(
            [x[np.searchsorted(self._numbers, c.read.numbers)] for c in self._concepts],
            [c.read.labels for c in self._concepts],
        )
