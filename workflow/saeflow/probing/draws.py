"""The training sets of a task: which of its training examples, with which labels.

A setting asks what becomes of probes when something is lacking (Kantamneni et al. 2025, "Are
sparse autoencoders useful? A case study in sparse probing"):

    normal     all training examples, up to ``train``
    scarcity   few: ``sizes``, half of them positive
    imbalance  one size, with ``shares`` of positive ones; the size at which the task has enough
               examples of either class for all of the shares
    noise      the normal one with a share of the labels, ``flips``, turned
    shift      the normal one, tested on examples of another source
    shuffled   the normal one with permuted labels, of which either class gets its share: they are
               not even by luck about the true ones, and whatever is told of them is chance

Tested is always on all test examples. The paper tests under imbalance on examples in the shares of
the training set, of which there are fewer; AUC, which is what is compared, does not depend on the
shares of the classes. Read `draw`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

NORMAL, SCARCITY, IMBALANCE = "normal", "scarcity", "imbalance"
NOISE, SHIFT, SHUFFLED = "noise", "shift", "shuffled"
SETTINGS = (NORMAL, SCARCITY, IMBALANCE, NOISE, SHIFT, SHUFFLED)


class Draw(NamedTuple):
    """A training set.

    Attributes
    ----------
    setting, level, seed
        What it is for: a name of `SETTINGS`; how many examples, or which share (NaN for those
        without); and the seed with which it was drawn.
    rows : ndarray (n,) int64
        Which of the task's training examples, in random order.
    positive : ndarray (n,) bool
        Their labels in this training set.
    """

    setting: str
    level: float
    seed: int
    rows: np.ndarray
    positive: np.ndarray


def draw(
    positive: np.ndarray, settings: Mapping[str, Any], *, shift: bool = False
) -> tuple[list[Draw], dict[str, str]]:
    """Draw the training sets of a task.

    Parameters
    ----------
    positive : ndarray (n,) bool
        The labels of its training examples.
    settings
        ``train``, ``sizes``, ``shares``, ``flips``, ``seeds`` and ``permutations``, as of
        `saeflow.config.sections.Probing`.
    shift
        Whether it has examples of another source.

    Returns
    -------
    draws : list of Draw
        None where all labels are the same.
    left_out : dict
        "{setting} {level}" -> why it could not be drawn.
    """
    draws: list[Draw] = []
    left_out: dict[str, str] = {}
    nan, most = float("nan"), settings["train"]
    if not 0 < positive.sum() < len(positive):
        return draws, left_out
    for seed in settings["seeds"]:
        normal = _normal(positive, most, seed)
        draws.append(Draw(NORMAL, nan, seed, normal, positive[normal]))
        if shift:
            draws.append(Draw(SHIFT, nan, seed, normal, positive[normal]))
        draws += _scarce(positive, settings["sizes"], most, seed, left_out)
        draws += _imbalanced(positive, settings["shares"], most, seed, left_out)
        for share, labels in _flipped(positive[normal], settings["flips"], seed):
            draws.append(Draw(NOISE, share, seed, normal, labels))
        for number in range(settings["permutations"]):
            own = seed * settings["permutations"] + number
            draws.append(Draw(SHUFFLED, nan, own, normal, _permuted(positive[normal], own)))
    return [one for one in draws if 0 < one.positive.sum() < len(one.positive)], left_out


def _generator(seed: int, setting: str) -> np.random.Generator:
    """Return the random numbers of a setting, which no other setting changes."""
    return np.random.default_rng((seed, SETTINGS.index(setting)))


def _normal(positive: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return all rows in random order, or ``most`` with the classes in their shares."""
    rng, n = _generator(seed, NORMAL), len(positive)
    if n <= most:
        return rng.permutation(n)
    n_positive = round(most * positive.mean())
    return _some(rng, positive, n_positive, most - n_positive)


def _some(
    rng: np.random.Generator, positive: np.ndarray, n_positive: int, n_negative: int
) -> np.ndarray:
    """Return the first rows of either class in a random order of all of them, mixed."""
    ordered = [rng.permutation(np.flatnonzero(of)) for of in (positive, ~positive)]
    return rng.permutation(np.concatenate([ordered[0][:n_positive], ordered[1][:n_negative]]))


def _scarce(
    positive: np.ndarray, sizes: Sequence[int], most: int, seed: int, left_out: dict[str, str]
) -> Iterator[Draw]:
    """Yield training sets of few examples; a smaller one is part of a larger."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    for size in sizes:
        wanted = (size + 1) // 2, size // 2
        if size > most or wanted[0] > n_positive or wanted[1] > n_negative:
            left_out[f"{SCARCITY} {size}"] = (
                f"there are {n_positive} positive and {n_negative} negative training examples"
            )
            continue
        rows = _some(_generator(seed, SCARCITY), positive, *wanted)
        yield Draw(SCARCITY, float(size), seed, rows, positive[rows])


def _imbalanced(
    positive: np.ndarray, shares: Sequence[float], most: int, seed: int, left_out: dict[str, str]
) -> Iterator[Draw]:
    """Yield training sets of one size with given shares of positive examples."""
    if not shares:
        return
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    n = min(most, int(n_positive / max(shares)), int(n_negative / (1 - min(shares))))
    for share in shares:
        n_own = round(share * n)
        if not 0 < n_own < n:
            left_out[f"{IMBALANCE} {share:g}"] = f"the training sets have {n} examples"
            continue
        rows = _some(_generator(seed, IMBALANCE), positive, n_own, n - n_own)
        yield Draw(IMBALANCE, float(share), seed, rows, positive[rows])


def _permuted(positive: np.ndarray, seed: int) -> np.ndarray:
    """Return labels of which each of the classes has the same share of positive ones.

    Tasks of the same texts are permuted each in a way of its own.
    """
    rng = np.random.default_rng((seed, SETTINGS.index(SHUFFLED), crc32(np.packbits(positive))))
    share, labels = positive.mean(), np.zeros_like(positive)
    for of in (positive, ~positive):
        rows = rng.permutation(np.flatnonzero(of))
        labels[rows[: round(share * len(rows))]] = True
    return labels


def _flipped(
    positive: np.ndarray, flips: Sequence[float], seed: int
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield labels of which a share is turned; those of a smaller share are among the larger's."""
    order = _generator(seed, NOISE).permutation(len(positive))
    for share in flips:
        labels = positive.copy()
        turned = order[: int(share * len(positive))]
        labels[turned] = ~labels[turned]
        yield float(share), labels
