"""Prompts as the sequences that a model has to run to answer them, and where their scores are read.

A prompt is run once with its answer behind it, and once more for each candidate of several tokens:
those of a single token are read from one distribution. Read `Lines`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from saeflow.tokens.sequences import BATCH_TOKENS, Sequences

# Lines in a batch, whose predictions after the prompt are held at once. A constant, as
# `BATCH_TOKENS` is: the shape of a matrix product can move its last bits.
BATCH_LINES = 256


class Question(NamedTuple):
    """A prompt in tokens.

    Attributes
    ----------
    ids : ndarray (n,) int64
        The prompt, with a BOS if the model has one.
    special : ndarray (n,) bool
        Which of them an SAE does not replace.
    answer : tuple of int
        The answer's tokens.
    candidates : tuple of tuple of int
        Those of each candidate, the answer among them; empty where nothing is to choose.
    distractor : int
        The first token of what a wrong answer says; -1 for none.
    after : tuple of int
        What counts as part of the answer and of each candidate: the rest of the sentence.
    """

    ids: np.ndarray
    special: np.ndarray
    answer: tuple[int, ...]
    candidates: tuple[tuple[int, ...], ...] = ()
    distractor: int = -1
    after: tuple[int, ...] = ()


class Batch(NamedTuple):
    """Lines padded on the right, and where to read them; places are in the flattened batch.

    Attributes
    ----------
    input_ids : Tensor (batch, seq) int64
    real, ordinary : Tensor (batch, seq) bool
        No padding; and neither BOS nor another special token.
    scored : Tensor (batch, seq) bool
        Tokens of prompts whose loss counts.
    prompts : ndarray (batch,) int64
        The prompt of each line.
    question : ndarray (batch, seq) int64
        The prompt of each of its own tokens in the line that has the answer; -1 elsewhere.
    rows, before : ndarray (n_rows,) int64
        Numbers of predictions after prompts (`Lines`), and the places that predict them.
    targets : Tensor (n_rows,) int64
        The tokens to predict.
    asked, asked_row : ndarray (n_asked,) int64
        Numbers of further tokens (`Lines.asked`), and whose ``rows``' places they are asked of.
    asked_ids : Tensor (n_asked,) int64
    """

    input_ids: torch.Tensor
    real: torch.Tensor
    ordinary: torch.Tensor
    scored: torch.Tensor
    prompts: np.ndarray
    question: np.ndarray
    rows: np.ndarray
    before: np.ndarray
    targets: torch.Tensor
    asked: np.ndarray
    asked_row: np.ndarray
    asked_ids: torch.Tensor


class Lines:
    """All sequences that answer some prompts.

    Attributes
    ----------
    first : ndarray (n_lines + 1,) int64
        Line i has predictions ``first[i]`` to ``first[i + 1]``, one per token after the prompt.
    main : ndarray (n_prompts,) int64
        The line with the answer of each prompt.
    asked : ndarray (n_asked, 2) int64
        Further tokens whose probability is read: the prediction, and the token.
    choice : list of list of (int, int)
        For each candidate of a prompt the number of its line, or -1; and that of ``asked``, or -1.
    contrast : ndarray (n_prompts,) int64
        The number in ``asked`` of the distractor; -1 for none.
    """

    def __init__(self, questions: Sequence[Question]) -> None:
        self.questions = questions
        self._of: list[int] = []
        self._targets: list[tuple[int, ...]] = []
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}
        first, main, contrast = [0], [], []
        asked: list[tuple[int, int]] = []
        self.choice: list[list[tuple[int, int]]] = []
        for number, question in enumerate(questions):
            own = self._line(number, question.answer + question.after, first)
            main.append(own)
            places = []
            for candidate in question.candidates:
                tokens = candidate + question.after
                if len(tokens) == 1:
                    places.append((-1, len(asked)))
                    asked.append((first[own], tokens[0]))
                else:
                    places.append((self._line(number, tokens, first), -1))
            self.choice.append(places)
            contrast.append(len(asked) if question.distractor >= 0 else -1)
            if question.distractor >= 0:
                asked.append((first[own], question.distractor))
        self.first, self.main = np.array(first), np.array(main, dtype=np.int64)
        self.asked = np.array(asked, dtype=np.int64).reshape(-1, 2)
        self.contrast = np.array(contrast, dtype=np.int64)

    def _line(self, number: int, targets: tuple[int, ...], first: list[int]) -> int:
        """Return the line of a prompt with these tokens behind it, a new one where there is none.

        ``first`` is `Lines.first` so far.
        """
        line = self._known.setdefault((number, targets), len(self._of))
        if line == len(self._of):
            self._of.append(number)
            self._targets.append(targets)
            first.append(first[-1] + len(targets))
        return line

    @property
    def n_batches(self) -> int:
        """How many batches there are."""
        return len(self._parts())

    def batches(self) -> Iterator[Batch]:
        """Yield batches of at most `BATCH_TOKENS` tokens and `BATCH_LINES` lines, longest first."""
        for part in self._parts():
            yield self._take(part)

    def _parts(self) -> list[np.ndarray]:
        lengths = np.array(
            [
                len(self.questions[number].ids) + len(targets) - 1
                for number, targets in zip(self._of, self._targets, strict=True)
            ]
        )
        order = np.argsort(-lengths, kind="stable")
        parts, start = [], 0
        while start < len(order):
            n = min(BATCH_LINES, max(1, BATCH_TOKENS // int(lengths[order[start]])))
            parts.append(order[start : start + n])
            start += n
        return parts

    def _take(self, chosen: np.ndarray) -> Batch:
        """Return the batch of these lines."""
        prompts = np.array([self._of[line] for line in chosen])
        texts, rows, before, targets = [], [], [], []
        for line, number in zip(chosen, prompts, strict=True):
            question, own = self.questions[number], self._targets[line]
            n, rest = len(question.ids), len(own) - 1
            mine = np.full(n, number if self.main[number] == line else -1)
            texts.append(
                (
                    np.concatenate([question.ids, own[:-1]]),
                    np.concatenate([mine, np.full(rest, -1)]),
                    np.concatenate([question.special, np.zeros(rest, dtype=bool)]),
                )
            )
            rows.append(np.arange(self.first[line], self.first[line + 1]))
            before.append(n - 1 + np.arange(len(own)))
            targets += own
        offsets = np.cumsum([0, *(len(ids) for ids, *_ in texts)])
        columns = map(np.concatenate, zip(*texts, strict=True))
        padded = Sequences(*columns, offsets).take(np.arange(len(chosen)))
        question_of, longest = padded.documents, padded.real.shape[1]
        scored = torch.from_numpy(question_of >= 0) & padded.ordinary
        # a token that follows a special one was predicted by what nothing replaces
        scored[:, 1:] &= padded.ordinary[:, :-1]
        scored[:, 0] = False
        numbers = np.concatenate(rows)
        asked = np.flatnonzero(np.isin(self.asked[:, 0], numbers))
        order = np.argsort(numbers)
        at = order[np.searchsorted(numbers, self.asked[asked, 0], sorter=order)]
        return Batch(
            *padded[:3],
            scored,
            prompts,
            question_of,
            numbers,
            np.concatenate([row * longest + own for row, own in enumerate(before)]),
            torch.tensor(targets),
            asked,
            at,
            torch.from_numpy(self.asked[asked, 1]),
        )
