"""The tasks whose concepts are removed or read, and which of their examples are for what.

A concept is taken out by means of one half of its training examples, and looked for by readers of
the other half: a reader of the same examples would find what the removal forgot by rounding alone.
Read `concepts_of`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from saeflow.errors import DataError
from saeflow.labelled.labelled import TEST, TRAIN, LabelledTask

logger = logging.getLogger(__name__)

LEAST = 2
"""Examples of each class that the halves and the test split have to have."""


class Examples(NamedTuple):
    """Some examples of a task.

    Attributes
    ----------
    numbers : ndarray (n,) int64
        Of the labelled texts, rising.
    labels : ndarray (n,) int64
        1 or 0.
    """

    numbers: np.ndarray
    labels: np.ndarray

    @property
    def fewest(self) -> int:
        """How many there are of the rarer class."""
        return int(np.bincount(self.labels, minlength=2).min())


class Concept(NamedTuple):
    """A task with its examples by what they are for.

    Attributes
    ----------
    name : str
        Of the task.
    edit, read, test : Examples
        What edits are made of, what readers are fitted to, and what both are tried on.
    """

    name: str
    edit: Examples
    read: Examples
    test: Examples


def concepts_of(
    tasks: Sequence[LabelledTask], settings: Mapping[str, Any], *, where: object
) -> tuple[list[Concept], list[Concept], dict[str, str]]:
    """Return the concepts that are edited, those that are read, and what is left out.

    Parameters
    ----------
    tasks
        Of a labelled entry.
    settings
        ``tasks``, ``others``, ``examples`` and ``seed`` of `saeflow.config.sections.Erasure`.
    where
        The entry, for messages.

    Returns
    -------
    edited : list of Concept
        The first ``tasks`` that have enough examples.
    read : list of Concept
        These, and the next ``others``.
    left_out : dict
        Name of a task that has not enough -> why.

    Raises
    ------
    DataError
        If no task has enough examples.
    """
    n_wanted, found, left_out = settings["tasks"] + settings["others"], [], {}
    for task in tasks:
        if len(found) == n_wanted:
            break
        rng, most = np.random.default_rng(settings["seed"]), settings["examples"]
        edit, read = _drawn(rng, *task.of(TRAIN), most, parts=2)
        concept = Concept(task.name, edit, read, *_drawn(rng, *task.of(TEST), most, parts=1))
        fewest = min(part.fewest for part in (concept.edit, concept.read, concept.test))
        if fewest >= LEAST:
            found.append(concept)
        else:
            left_out[task.name] = f"{fewest} examples of a class where {LEAST} are needed"
            logger.warning("%s: %s is left out: %s", where, task.name, left_out[task.name])
    if not found:
        raise DataError(
            "no task has enough examples to take a concept out and to look for it",
            where=where,
            expected=f"{2 * LEAST} training and {LEAST} test examples of each class",
            got=f"{len(tasks)} tasks, each with fewer",
            remedy="Give labelled texts more examples, or set measures > erasure to null.",
        )
    return found[: settings["tasks"]], found, left_out


def _drawn(
    rng: np.random.Generator, numbers: np.ndarray, labels: np.ndarray, most: int, *, parts: int
) -> list[Examples]:
    """Return parts of at most ``most`` examples, each with about the shares of classes of all."""
    share = min(1.0, most / max(1, len(numbers)))
    found: list[list[np.ndarray]] = [[] for _ in range(parts)]
    for label in (0, 1):
        own = rng.permutation(np.flatnonzero(labels == label))
        for part, taken in enumerate(np.array_split(own[: round(share * len(own))], parts)):
            found[part].append(taken)
    rows = [np.sort(np.concatenate(own)) for own in found]
    return [Examples(numbers[own], labels[own].astype(np.int64)) for own in rows]
