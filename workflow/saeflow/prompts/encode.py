"""Prompts as token ids of a model: what it reads, and what it might go on with.

A BOS stands before every prompt, whatever the tokenizer itself does. The space before an answer is
part of it. An answer is tokenized apart from its prompt, as ids after a letter: tokenizers that cut
texts at spaces give the same as for prompt and answer together, and those that put a space before
every text (SentencePiece) give no token for that. Where together they would be other tokens,
``n_merged`` counts it. Read `encode_prompts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from saeflow.errors import DataError
from saeflow.prompts.prompt import Prompt
from saeflow.tokens.tokenize import tokenize_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LETTER = "a"


class EncodedPrompt(NamedTuple):
    """Token ids of a prompt, each (n,) int64.

    Attributes
    ----------
    ids : ndarray
        What the model reads: the BOS, and the text or its end.
    answer : ndarray
        At least one token.
    candidates : list of ndarray or None
        In the order of the prompt's.
    after : ndarray
        What follows the answer; may be empty.
    distractor : ndarray or None
    n_cut : int
        Tokens of the text's beginning that did not fit.
    """

    ids: np.ndarray
    answer: np.ndarray
    candidates: list[np.ndarray] | None
    after: np.ndarray
    distractor: np.ndarray | None
    n_cut: int


class Encoded(NamedTuple):
    """Encoded prompts.

    Attributes
    ----------
    prompts : list of EncodedPrompt
    has_bos : bool
        Whether the first token of each is a BOS: there are tokenizers without one.
    facts : dict
        ``n_cut``, prompts that lost their beginning; ``n_merged``, those that would be other tokens
        together with their answers; ``n_unknown``, unknown tokens in their texts; and
        ``n_of_one_token``, answers that are one.
    """

    prompts: list[EncodedPrompt]
    has_bos: bool
    facts: dict[str, int]


class Continuations:
    """Token ids of what follows a text, (n,) int64; each is computed once."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._known: dict[tuple[str, str], np.ndarray] = {}

    def __call__(self, text: str, white: str = "") -> np.ndarray:
        """Return the ids of a text that follows a word, with white space between if given.

        Parameters
        ----------
        text
            With the space that it begins with.
        white
            White space that is not part of it, such as a line break.
        """
        if (text, white) not in self._known:
            before = _LETTER + white
            first, both, alone = tokenize_texts(self._tokenizer, [before, before + text, text])
            ids = both[len(first) :] if both[: len(first)] == first else alone
            self._known[text, white] = np.array(ids, dtype=np.int64)
        return self._known[text, white]


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[np.ndarray]:
    """Return the ids of texts, (n,) int64, each with a BOS before it if the tokenizer has one."""
    bos = tokenizer.bos_token_id
    first = [] if bos is None else [bos]
    found = tokenize_texts(tokenizer, list(texts))
    return [np.array([*first, *ids], dtype=np.int64) for ids in found]


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt], max_positions: int
) -> Encoded:
    """Return the token ids of prompts, each short enough for a model.

    Parameters
    ----------
    tokenizer
        The model's.
    prompts
        From `saeflow.prompts.prompt.read_prompts`.
    max_positions
        Positions of the model. A prompt that does not fit with its longest candidate and what
        follows loses its beginning, never the BOS.

    Raises
    ------
    DataError
        If an answer or candidate is unknown to the tokenizer, or does not fit.
    """
    continued = Continuations(tokenizer)
    texts = encode_texts(tokenizer, [prompt.text for prompt in prompts])
    wholes = [prompt.text + prompt.space + prompt.answer for prompt in prompts]
    has_bos = int(tokenizer.bos_token_id is not None)
    found, n_merged = [], 0
    for prompt, ids, whole in zip(prompts, texts, encode_texts(tokenizer, wholes), strict=True):
        white = prompt.text[len(prompt.text.rstrip()) :]
        words = [prompt.answer, *(prompt.candidates or ()), prompt.distractor or prompt.answer]
        answer, *others, distractor = (continued(prompt.space + word, white) for word in words)
        after = continued(prompt.after) if prompt.after else np.empty(0, np.int64)
        longest = max(map(len, (answer, *others, distractor))) + len(after)
        n_kept = min(len(ids) - has_bos, max_positions - has_bos + 1 - longest)
        if n_kept < 1:
            raise _too_long(prompt, longest, max_positions)
        n_cut = len(ids) - has_bos - n_kept
        n_merged += not np.array_equal(np.concatenate([ids, answer]), whole)
        found.append(
            EncodedPrompt(
                np.concatenate([ids[:has_bos], ids[has_bos + n_cut :]]),
                answer,
                None if prompt.candidates is None else others,
                after,
                None if prompt.distractor is None else distractor,
                n_cut,
            )
        )
    unknown = tokenizer.unk_token_id
    _require_known(prompts, found, unknown)
    facts = {
        "n_cut": sum(one.n_cut > 0 for one in found),
        "n_merged": n_merged,
        "n_unknown": sum(int((one.ids[has_bos:] == unknown).sum()) for one in found),
        "n_of_one_token": sum(len(one.answer) == 1 for one in found),
    }
    return Encoded(found, bool(has_bos), facts)


def _require_known(
    prompts: Sequence[Prompt], found: Sequence[EncodedPrompt], unknown: int | None
) -> None:
    """Refuse answers, candidates and distractors with a token that stands for any word."""
    wrong = [
        word
        for prompt, one in zip(prompts, found, strict=True)
        for word, ids in _answers(prompt, one)
        if not len(ids) or unknown in ids
    ]
    if wrong:
        raise DataError(
            "an answer, or a candidate for it, is unknown to the model's tokenizer",
            got=f"'{wrong[0]}', and {len(wrong):,} such words in all",
            remedy="Ask the model prompts in the language of its tokenizer; those of a world only"
            " with the tokenizer that was trained on it.",
        )


def _answers(prompt: Prompt, one: EncodedPrompt) -> Iterator[tuple[str, np.ndarray]]:
    yield prompt.answer, one.answer
    yield from zip(prompt.candidates or (), one.candidates or (), strict=True)


def _too_long(prompt: Prompt, longest: int, max_positions: int) -> DataError:
    return DataError(
        "the answer to a prompt does not fit into the model's context",
        where=f"... {prompt.text[-40:]}",
        expected=f"less than {max_positions} tokens in the longest candidate and what follows it",
        got=longest,
        remedy="Remove this prompt, or take a model with a longer context.",
    )
