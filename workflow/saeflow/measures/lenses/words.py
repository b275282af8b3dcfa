"""Which direction of a model's last states tells the two answers of a task apart: its words.

The score of the post's comments: of a state after the final norm, the product with the difference
of two rows of the unembedding, those of the words that the text could go on with. Read
`directions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from saeflow.labelled.labelled import LabelledTask
from saeflow.prompts.encode import Continuations

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WORDS = "words"
_POSITIVE, _NEGATIVE = "positive", "negative"


class Asked(NamedTuple):
    """A task whose answers are words.

    Attributes
    ----------
    task : LabelledTask
    direction : Tensor (d_model,) float64
        The unembedding's row of the positive word less that of the negative one.
    tokens : dict
        "positive" and "negative" -> the token of the word, as text.
    whole : bool
        Whether each word is one token; else each is its first.
    """

    task: LabelledTask
    direction: torch.Tensor
    tokens: dict[str, str]
    whole: bool


def directions(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tasks: Iterable[LabelledTask]
) -> tuple[list[Asked], dict[str, str]]:
    """Return the tasks with words, and of those whose words cannot be told apart, why.

    Tasks whose facts have no ``words`` are passed over.
    """
    continued, found, left_out = Continuations(tokenizer), [], {}
    rows = model.get_output_embeddings().weight
    for task in tasks:
        words = task.facts.get(WORDS)
        if not words:
            continue
        ids = {answer: continued(words[answer]) for answer in (_POSITIVE, _NEGATIVE)}
        if why := _unusable(ids, tokenizer.all_special_ids):
            left_out[task.name] = f"{why} ('{words[_POSITIVE]}' and '{words[_NEGATIVE]}')"
            continue
        first = {answer: int(own[0]) for answer, own in ids.items()}
        direction = rows[first[_POSITIVE]].double() - rows[first[_NEGATIVE]].double()
        tokens = {answer: tokenizer.decode([one]) for answer, one in first.items()}
        whole = all(len(own) == 1 for own in ids.values())
        found.append(Asked(task, direction, tokens, whole))
    return found, left_out


def _unusable(ids: dict[str, np.ndarray], special: Sequence[int]) -> str:
    """Return why words cannot be told apart by their first tokens; "" where they can."""
    if any(not len(own) or own[0] in special for own in ids.values()):
        return "a word of the answers is unknown to the tokenizer"
    if ids[_POSITIVE][0] == ids[_NEGATIVE][0]:
        return "the words of the answers begin with the same token"
    return ""


def described(asked: Iterable[Asked]) -> dict[str, dict[str, Any]]:
    """Return what a record says of the words of tasks."""
    return {one.task.name: {**one.tokens, "whole_words": one.whole} for one in asked}
