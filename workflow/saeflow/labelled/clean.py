"""What is left out of a dataset before its labels are looked at, and counted. Read `clean`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from saeflow.datasets.split import splits_of
from saeflow.labelled.labelled import SHIFT, TEST, TRAIN
from saeflow.labelled.texts import Texts

TEST_SHARE = 0.2
"""Where there is no test split and no share is given."""

Counts = dict[str, int]


def clean(
    texts: Texts, settings: Mapping[str, Any], *, has_test_split: bool
) -> tuple[Texts, Counts]:
    """Return the texts of a dataset that are used, with their split, and how many are not.

    Parameters
    ----------
    texts
        As read.
    settings
        ``longer_than``, ``shorter_than``, ``duplicates``, ``examples``, ``seed``, ``test``.
    has_test_split
        Whether test texts were read; else they are chosen here among those for training.

    Returns
    -------
    texts : Texts
        In the order in which they were read.
    counts : dict
        n_read; n_empty; n_length: too short or too long; n_unlabelled: no label at all; n_repeated:
        a text that was there before in its split; n_contradicting: of them, with another label;
        n_shared: training texts that are test texts, too; n_shared_shift: texts of the second
        distribution that are training texts, too; n_not_drawn: more than ``examples``.
    """
    counts = {"n_read": len(texts.texts)}

    def leave_out(name: str, wrong: np.ndarray) -> None:
        nonlocal texts
        counts[name] = int(wrong.sum())
        texts = texts.take(~wrong)

    leave_out("n_empty", np.array([not text.strip() for text in texts.texts], bool))
    leave_out("n_length", _of_wrong_length(texts, settings))
    labels = zip(*texts.labels.values(), strict=True)
    leave_out("n_unlabelled", np.array([not any(row) for row in labels], bool))
    if not has_test_split:
        texts = texts._replace(splits=_split(texts, settings))
    repeated, n_contradicting, shared, shared_shift = _duplicates(texts)
    counts |= {
        "n_repeated": int(repeated.sum()),
        "n_contradicting": n_contradicting,
        "n_shared": int(shared.sum()),
        "n_shared_shift": int(shared_shift.sum()),
    }
    if settings["duplicates"] == "drop":
        texts = texts.take(~(repeated | shared | shared_shift))
    leave_out("n_not_drawn", _not_drawn(texts.splits, settings["examples"], settings["seed"]))
    return texts, counts


def _of_wrong_length(texts: Texts, settings: Mapping[str, Any]) -> np.ndarray:
    lengths = np.array([len(text) for text in texts.texts], np.int64)
    low, high = settings.get("longer_than"), settings.get("shorter_than")
    wrong = np.zeros(len(lengths), bool)
    if low is not None:
        wrong |= lengths <= low
    if high is not None:
        wrong |= lengths >= high
    return wrong


def _split(texts: Texts, settings: Mapping[str, Any]) -> np.ndarray:
    """Return splits with test texts among those for training: by their text alone."""
    share = settings.get("test") or TEST_SHARE
    found = splits_of(texts.texts, {TRAIN: 1 - share, TEST: share}, settings["seed"])
    return np.where(texts.splits == TRAIN, np.array(found, str), texts.splits)


def _duplicates(texts: Texts) -> tuple[np.ndarray, int, np.ndarray, np.ndarray]:
    """Return masks of repeated texts and of those in two splits; white space does not count."""
    keys = [" ".join(text.split()) for text in texts.texts]
    splits, labels = texts.splits.tolist(), list(zip(*texts.labels.values(), strict=True))
    first: dict[tuple[str, str], int] = {}
    repeated, n_contradicting = np.zeros(len(keys), bool), 0
    for i, key in enumerate(zip(splits, keys, strict=True)):
        repeated[i] = key in first
        n_contradicting += labels[first.setdefault(key, i)] != labels[i]
    shared = [a == TRAIN and (TEST, key) in first for a, key in zip(splits, keys, strict=True)]
    seen = [a == SHIFT and (TRAIN, key) in first for a, key in zip(splits, keys, strict=True)]
    return repeated, n_contradicting, np.array(shared, bool), np.array(seen, bool)


def _not_drawn(splits: np.ndarray, n_wanted: int | None, seed: int) -> np.ndarray:
    """Return a mask of texts that are too many, of training and test together, and of shift."""
    left = np.zeros(len(splits), bool)
    for i, group in enumerate((splits != SHIFT, splits == SHIFT)):
        there = np.flatnonzero(group)
        if n_wanted is not None and len(there) > n_wanted:
            order = np.random.default_rng([seed, i]).permutation(len(there))
            left[there[order[n_wanted:]]] = True
    return left
