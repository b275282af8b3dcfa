"""Tasks of a dataset: the questions about its labels that have enough texts of both classes.

Read `find_tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from saeflow.labelled.labelled import SHIFT, SPLITS, TEST, TRAIN, LabelledTask
from saeflow.labelled.questions import BINARY, Question, find_questions
from saeflow.labelled.texts import Texts

LEAST = {TRAIN: 4, TEST: 2}
"""So many texts of each class a task has at least."""


class Tasks(NamedTuple):
    """What a dataset is asked.

    Attributes
    ----------
    tasks : list of LabelledTask
        Examples are numbers of the dataset's texts.
    left_out : dict
        Name -> why there is no such task.
    """

    tasks: list[LabelledTask]
    left_out: dict[str, str]


def find_tasks(
    dataset: str,
    texts: Texts,
    settings: Mapping[str, Any],
    words: Mapping[str, Mapping[str, str]] | None = None,
) -> Tasks:
    """Return the tasks of a dataset.

    Parameters
    ----------
    dataset
        Its name, with which those of tasks begin.
    texts
        As `saeflow.labelled.clean.clean` leaves them.
    settings
        ``rule``, ``classes``, ``balance`` and perhaps ``positive``.
    words
        Column -> the words that go with its two classes.
    """
    found = Tasks([], {})
    training = texts.splits == TRAIN
    for column, labels in texts.labels.items():
        name = dataset if len(texts.labels) == 1 else f"{dataset}.{column}"
        own = [label for label, there in zip(labels, training, strict=True) if there]
        places = [place for place, there in zip(texts.places, training, strict=True) if there]
        questions = find_questions(own, places, labels, settings)
        if not questions:
            classes = ", ".join(sorted({label for label in own if label is not None}))
            found.left_out[name] = f"training texts of one class only: {classes or 'no label'}"
        for question in questions:
            task = _task(name, dataset, column, question, texts, settings)
            if reason := _too_few(task):
                found.left_out[task.name] = reason
                continue
            if question.facts["rule"] == BINARY and words and column in words:
                task.facts["words"] = dict(words[column])
            found.tasks.append(task)
    return found


def _task(
    name: str,
    dataset: str,
    column: str,
    question: Question,
    texts: Texts,
    settings: Mapping[str, Any],
) -> LabelledTask:
    labels = texts.labels[column]
    answers = np.array([question.answers.get(label or "", -1) for label in labels], np.int8)
    missing = np.array([label is None for label in labels], bool)
    kept = answers >= 0
    n_answered = int(kept.sum())
    if settings["balance"] == "post":
        kept = _first_of_both(answers, texts.splits)
    n_balanced = n_answered - int(kept.sum())
    shift = kept & (texts.splits == SHIFT)
    if shift.any() and len(set(answers[shift])) < 2:
        kept &= ~shift  # one class alone is no test
    facts = {
        "dataset": dataset,
        "column": column,
        **question.facts,
        "n_missing": int(missing.sum()),
        "n_unknown": len(labels) - n_answered - int(missing.sum()),
        "n_balanced_away": n_balanced,
        "n_one_sided_shift": int((shift & ~kept).sum()),
    }
    for split in SPLITS:
        there = kept & (texts.splits == split)
        facts[f"n_{split}"] = int(there.sum())
        facts[f"n_positive_{split}"] = int((answers[there] == 1).sum())
    examples = np.flatnonzero(kept)
    return LabelledTask(
        name + question.suffix, dataset, examples, answers[examples], texts.splits[examples], facts
    )


def _first_of_both(answers: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """Return a mask of the first texts of each class, as many of both in each split."""
    kept = np.zeros(len(answers), bool)
    for split in SPLITS:
        both = [np.flatnonzero((splits == split) & (answers == label)) for label in (0, 1)]
        for one in both:
            kept[one[: min(map(len, both))]] = True
    return kept


def _too_few(task: LabelledTask) -> str:
    """Return why a task cannot be asked; "" if it can."""
    facts = task.facts
    for split, least in LEAST.items():
        n_positive = facts[f"n_positive_{split}"]
        n_negative = facts[f"n_{split}"] - n_positive
        if min(n_positive, n_negative) < least:
            return (
                f"{n_positive} positive and {n_negative} negative {split} texts; at least {least}"
                " of each are needed"
            )
    return ""
