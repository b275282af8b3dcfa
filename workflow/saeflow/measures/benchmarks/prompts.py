"""Which prompts of the world's sets a model answers, and which simple guesses do.

Read `answer_prompts`; `saeflow.world.prompts` says what each set asks, and
`saeflow.metrics.benchmarks` forms scores of the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from saeflow.measures.benchmarks.prompt_model import PromptModel
from saeflow.measures.probes.linear_probe import fit_probe
from saeflow.metrics.benchmarks import MODEL

_INVERSE_PENALTY = 0.1

Guess = Callable[[Sequence[str], Sequence[str]], str | None]
"""From the words of a prompt and its candidates to a last word."""


class Answers(NamedTuple):
    """The answers to the prompts of a task.

    Attributes
    ----------
    task : str
    chance : ndarray (n,) float64
        Of a blind guess at each prompt.
    correct : dict
        Who answered, `MODEL` or a baseline -> (n,) bool.
    """

    task: str
    chance: np.ndarray
    correct: dict[str, np.ndarray]


def answer_prompts(model: PromptModel, sets: Mapping[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """Have a model and simple guesses answer all prompt sets of `saeflow.world.prompts`.

    Columns of one row per ``task``, ``prompt`` and answerer (``by``): whether that was ``correct``,
    and the ``chance`` of a blind guess.
    """
    guesses: dict[str, Guess] = {"most_frequent": most_frequent, "copy_bigram": copied}
    names: dict[str, Guess] = {"first_named": first_named, "most_frequent": most_frequent}
    orders = sets["indirect_object"].groupby("order")
    found = [
        _last_word(model, sets["last_word"]),
        _choice("cloze", model, sets["cloze"], guesses),
        _sentiment(model, sets["sentiment"]),
        *(_choice(f"indirect_object_{o.lower()}", model, rows, names) for o, rows in orders),
        _choice("owner_binding", model, sets["owner_binding"], guesses),
    ]
    parts = [
        {
            "task": np.full(len(correct), answers.task),
            "prompt": np.arange(len(correct)),
            "by": np.full(len(correct), by),
            "correct": correct,
            "chance": answers.chance,
        }
        for answers in found
        for by, correct in answers.correct.items()
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _last_word(model: PromptModel, prompts: pd.DataFrame) -> Answers:
    """Have the last word of each passage named, among all words."""
    target = model.answer_ids(prompts["target"])
    correct = {
        MODEL: model.logits(prompts["text"]).argmax(1) == target,
        "last_sentence": model.logits(prompts["question"]).argmax(1) == target,
        "most_frequent": _guessed(most_frequent, prompts),
        "copy_bigram": _guessed(lambda words, _: copied(words), prompts),
    }
    return Answers("last_word", np.full(len(prompts), 1 / model.model.config.vocab_size), correct)


def _choice(
    task: str, model: PromptModel, prompts: pd.DataFrame, guesses: Mapping[str, Guess]
) -> Answers:
    """Have the last word of each prompt chosen among its candidates."""
    correct = {MODEL: _chosen(model, prompts["text"], prompts)}
    if "question" in prompts:
        correct["last_sentence"] = _chosen(model, prompts["question"], prompts)
    correct |= {name: _guessed(guess, prompts) for name, guess in guesses.items()}
    return Answers(task, 1 / prompts["candidates"].map(len).to_numpy(float), correct)


def _sentiment(model: PromptModel, prompts: pd.DataFrame) -> Answers:
    """Have linear probes of the state, and of the mean embedding, tell good reviews from bad."""
    train, test = (prompts[prompts["part"] == part] for part in ("train", "test"))
    known, labels = train["label"].to_numpy(), test["label"].to_numpy()

    def read(vectors: Callable[[pd.Series], np.ndarray]) -> np.ndarray:
        probe = fit_probe(vectors(train["text"]), known, inverse_penalty=_INVERSE_PENALTY)
        return probe.answers(vectors(test["text"]), labels)["correct"] == 1

    correct = {MODEL: read(model.states), "mean_embedding": read(model.mean_embeddings)}
    return Answers("sentiment", np.full(len(test), 0.5), correct)


def _chosen(model: PromptModel, texts: pd.Series, prompts: pd.DataFrame) -> np.ndarray:
    """Return where the likeliest candidate after a text is the right one, (n,) bool."""
    candidates = prompts["candidates"].map(list)
    found = [
        words[int(row[model.answer_ids(words)].argmax())]
        for row, words in zip(model.logits(texts), candidates, strict=True)
    ]
    return np.array(found, dtype=object) == prompts["target"].to_numpy(object)


def _guessed(guess: Guess, prompts: pd.DataFrame) -> np.ndarray:
    """Return where a guess is the right one, (n,) bool."""
    found = [
        guess(words, list(candidates))
        for words, candidates in zip(
            prompts["text"].str.split(), prompts["candidates"], strict=True
        )
    ]
    return np.array(found, dtype=object) == prompts["target"].to_numpy(object)


def most_frequent(words: Sequence[str], candidates: Sequence[str]) -> str:
    """Return the candidate that occurs most often; of equals, the one that occurs last."""
    last = {word: place for place, word in enumerate(words)}
    return max(candidates, key=lambda word: (words.count(word), last.get(word, -1)))


def copied(words: Sequence[str], candidates: Sequence[str] | None = None) -> str | None:
    """Return the word that followed the latest earlier occurrence of the last word, or None.

    Where there are candidates, occurrences that are followed by another word do not count.
    """
    for place in range(len(words) - 2, -1, -1):
        follower = words[place + 1]
        if words[place] == words[-1] and (candidates is None or follower in candidates):
            return follower
    return None


def first_named(words: Sequence[str], candidates: Sequence[str]) -> str:
    """Return the candidate that occurs first."""
    return min(candidates, key=words.index)
