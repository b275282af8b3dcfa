"""Scores on the world's prompt sets, each beside chance and what simple guesses reach.

Read `score_prompts` first; `saeflow.world.prompts` says what each set asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from saeflow.measures.guesses import copied, first_named, most_frequent
from saeflow.measures.intervals import NORMAL_QUANTILE
from saeflow.measures.prompt_model import PromptModel

_PROBE_REGULARIZATION = 0.1


@dataclass(frozen=True)
class Score:
    """One row of a model's benchmarks.

    Attributes
    ----------
    task : str
    value, low, high : float
        The score and its 95 % interval.
    n : int
        Prompts, or tokens for a loss.
    chance : float
        What blind guessing gets.
    at_chance : bool
        Whether the interval includes chance or lies on its wrong side.
    unit : str
        "" for shares, "nats" for losses (of which lower is better).
    requires : str
        What the task asks of the model, in words.
    baselines : dict
        What others get, by name.
    """

    task: str
    value: float
    low: float
    high: float
    n: int
    chance: float
    at_chance: bool
    unit: str = ""
    requires: str = ""
    baselines: dict[str, float] = field(default_factory=dict)


def share(
    task: str,
    correct: Sequence[bool] | np.ndarray,
    *,
    chance: float,
    requires: str,
    baselines: Mapping[str, float],
) -> Score:
    """Return the score of a task with right and wrong answers (n,) bool."""
    correct = np.asarray(correct, dtype=bool)
    low, high = wilson(int(correct.sum()), len(correct))
    return Score(
        task=task,
        value=float(correct.mean()),
        low=low,
        high=high,
        n=len(correct),
        chance=chance,
        at_chance=low <= chance,
        requires=requires,
        baselines=dict(baselines),
    )


def wilson(n_correct: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, which never leaves [0, 1]."""
    z2 = NORMAL_QUANTILE**2
    p = n_correct / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def score_prompts(model: PromptModel, sets: Mapping[str, pd.DataFrame]) -> list[Score]:
    """Return the scores of a model on all prompt sets of `saeflow.world.prompts`."""
    return [
        _last_word(model, sets["last_word"]),
        _cloze(model, sets["cloze"]),
        _sentiment(model, sets["sentiment"]),
        *_indirect_objects(model, sets["indirect_object"]),
        _owner_binding(model, sets["owner_binding"]),
    ]


def _last_word(model: PromptModel, prompts: pd.DataFrame) -> Score:
    target = model.answer_ids(prompts["target"])
    words = prompts["text"].str.split()
    candidates = prompts["candidates"].map(list)
    return share(
        "last_word",
        model.logits(prompts["text"]).argmax(1) == target,
        chance=1 / model.model.config.vocab_size,
        requires="finding a word of the passage again by what stood before it (copying)",
        baselines={
            "last_sentence": _mean(model.logits(prompts["question"]).argmax(1) == target),
            "most_frequent": _guess(most_frequent, words, candidates, prompts["target"]),
            "copy_bigram": _mean(words.map(copied) == prompts["target"]),
        },
    )


def _cloze(model: PromptModel, prompts: pd.DataFrame) -> Score:
    words, target = prompts["text"].str.split(), prompts["target"]
    candidates = prompts["candidates"].map(list)
    n_candidates = candidates.map(len)
    return share(
        "cloze",
        _choose(model, prompts["text"], candidates) == target,
        chance=_mean(1 / n_candidates),
        requires="the same among ten objects, all of which the twenty sentences mention",
        baselines={
            "last_sentence": _mean(_choose(model, prompts["question"], candidates) == target),
            "most_frequent": _guess(most_frequent, words, candidates, target),
            "copy_bigram": _guess(copied, words, candidates, target),
        },
    )


def _owner_binding(model: PromptModel, prompts: pd.DataFrame) -> Score:
    words, target = prompts["text"].str.split(), prompts["target"]
    candidates = prompts["candidates"].map(list)
    return share(
        "owner_binding",
        _choose(model, prompts["text"], candidates) == target,
        chance=_mean(1 / candidates.map(len)),
        requires="knowing which object belongs to whom; reported only: no gate",
        baselines={
            "last_sentence": _mean(_choose(model, prompts["question"], candidates) == target),
            "most_frequent": _guess(most_frequent, words, candidates, target),
            "copy_bigram": _guess(copied, words, candidates, target),
        },
    )


def _indirect_objects(model: PromptModel, prompts: pd.DataFrame) -> list[Score]:
    scores = []
    for order, rows in prompts.groupby("order"):
        candidates, target = rows["candidates"].map(list), rows["target"]
        words = rows["text"].str.split()
        scores.append(
            share(
                f"indirect_object_{str(order).lower()}",
                _choose(model, rows["text"], candidates) == target,
                chance=0.5,
                requires="preferring the name that was not repeated",
                baselines={
                    "first_named": _guess(first_named, words, candidates, target),
                    "most_frequent": _guess(most_frequent, words, candidates, target),
                },
            )
        )
    return scores


def _sentiment(model: PromptModel, prompts: pd.DataFrame) -> Score:
    train, test = (prompts[prompts["part"] == part] for part in ("train", "test"))
    known, labels = train["label"].to_numpy(), test["label"].to_numpy()
    states = probe(model.states(train["text"]), known, model.states(test["text"]))
    pooled = probe(model.mean_embeddings(train["text"]), known, model.mean_embeddings(test["text"]))
    return share(
        "sentiment",
        states == labels,
        chance=0.5,
        requires="summing up graded, negated opinions in the state before the verdict",
        baselines={"mean_embedding": _mean(pooled == labels)},
    )


def probe(x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """Return the labels that a logistic regression predicts.

    Parameters
    ----------
    x : (n, d) float
        Training inputs; they are standardized.
    y : (n,) integers
        Training labels.
    x_test : (n_test, d) float

    Returns
    -------
    (n_test,) integers
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=_PROBE_REGULARIZATION, max_iter=2000)
    )
    return classifier.fit(x.astype(np.float64), y).predict(x_test.astype(np.float64))


def _choose(model: PromptModel, texts: pd.Series, candidates: pd.Series) -> list[str]:
    """Return the likeliest candidate after each text."""
    logits = model.logits(texts)
    return [
        words[int(row[model.answer_ids(words)].argmax())]
        for row, words in zip(logits, candidates, strict=True)
    ]


def _guess(guess: Any, words: pd.Series, candidates: pd.Series, target: pd.Series) -> float:
    found = [guess(text, among) for text, among in zip(words, candidates, strict=True)]
    return _mean(np.array(found, dtype=object) == target.to_numpy())


def _mean(values: Any) -> float:
    return float(np.mean(np.asarray(values, dtype=np.float64)))
