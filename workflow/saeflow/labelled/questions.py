"""What is asked about a column of labels: classes, or numbers by their median.

Which classes there are and where the median lies is told by training texts alone. Read
`find_questions`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from saeflow.errors import DataError
from saeflow.labelled.texts import label_of

BINARY, ONE_VS_REST, MEDIAN = "binary", "one_vs_rest", "median"
REST = "the rest"


class Question(NamedTuple):
    """A question with two answers about a label.

    Attributes
    ----------
    suffix : str
        What it adds to the name of its column: "=class", or nothing.
    facts : dict
        ``rule``; ``positive`` and ``negative`` in words; ``threshold`` of a median, and how many
        classes there are and are asked about.
    answers : dict
        Label -> 1 or 0, for the labels that it says something about.
    """

    suffix: str
    facts: dict[str, Any]
    answers: dict[str, int]


def find_questions(
    labels: Sequence[str | None],
    places: Sequence[str],
    others: Iterable[str | None],
    settings: Mapping[str, Any],
) -> list[Question]:
    """Return the questions about a column; none where there are fewer than two classes.

    Parameters
    ----------
    labels
        Of the training texts.
    places
        Of these, for messages.
    others
        Labels of other texts, to be answered too.
    settings
        ``rule``, ``classes`` and perhaps ``positive``.

    Raises
    ------
    DataError
        If a label is a text where numbers are asked for, or where most are numbers.
    """
    counts = Counter(label for label in labels if label is not None)
    if len(counts) < 2:
        return []
    if _by_median(counts, labels, places, settings):
        return [_median(labels, others)]
    return _classes(counts, settings)


def number_of(label: str | None) -> float | None:
    """Return the number that a label is, None if it is none."""
    try:
        number = float(label or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _by_median(
    counts: Mapping[str, int],
    labels: Sequence[str | None],
    places: Sequence[str],
    settings: Mapping[str, Any],
) -> bool:
    """Whether labels are numbers to be held against their median."""
    rule, n_classes = settings["rule"], settings["classes"]
    few = len(counts) <= 2 or len(counts) <= n_classes and all(map(_is_whole, counts))
    if rule == "classes" or rule == "auto" and few:
        return False
    texts = [label for label in counts if number_of(label) is None]
    if not texts:
        return True
    asked = rule == "median"
    if asked or len(counts) > n_classes and 2 * len(texts) < len(counts):
        raise DataError(
            "a label is a text, and " + ("numbers are asked for" if asked else "most are numbers"),
            where=places[labels.index(texts[0])],
            expected="a number",
            got=texts[0],
            remedy="Mend or empty it; an empty label is left out. `rule: classes` takes each"
            " label as a class.",
        )
    return False


def _is_whole(label: str) -> bool:
    number = number_of(label)
    return number is not None and number.is_integer()


def _median(labels: Iterable[str | None], others: Iterable[str | None]) -> Question:
    labels = list(labels)
    numbers = {label: number_of(label) for label in {*labels, *others} if label is not None}
    threshold = float(np.median([numbers[label] for label in labels if label is not None]))
    known = {label: number for label, number in numbers.items() if number is not None}
    above, below = f"above {threshold:g}", f"at most {threshold:g}"
    answers = {label: int(number > threshold) for label, number in known.items()}
    if not any(answers.get(label) for label in labels if label is not None):
        above, below = f"at least {threshold:g}", f"below {threshold:g}"
        answers = {label: int(number >= threshold) for label, number in known.items()}
    facts = {"rule": MEDIAN, "positive": above, "negative": below, "threshold": threshold}
    return Question("", facts, answers)


def _classes(counts: Mapping[str, int], settings: Mapping[str, Any]) -> list[Question]:
    given = settings.get("positive")
    wanted = None if given is None else label_of(given, "positive")
    order = sorted(counts, key=_rank)
    if len(order) == 2:
        positive = wanted if wanted in counts else order[1]
        negative = order[positive == order[0]]
        facts = {"rule": BINARY, "positive": positive, "negative": negative}
        return [Question("", facts, {positive: 1, negative: 0})]
    if wanted in counts:
        chosen = {wanted}
    else:
        frequent = sorted(order, key=lambda label: -counts[label])  # ties in their order
        chosen = set(frequent[: settings["classes"]])
    numbers = {"n_classes": len(order), "n_classes_asked": len(chosen)}
    return [
        Question(
            f"={one}",
            {"rule": ONE_VS_REST, "positive": one, "negative": REST, **numbers},
            {label: int(label == one) for label in order},
        )
        for one in order
        if one in chosen
    ]


def _rank(label: str) -> tuple[float, str]:
    """Numbers come in their order, before texts in that of letters."""
    number = number_of(label)
    return (math.inf if number is None else number, label)
