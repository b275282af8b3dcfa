"""Labelled texts as token ids of a model, and what each token is of: the text, the concept.

A tokenizer says which characters a token stands for. White space that it leaves out of that belongs
to the token that follows, and counts for nothing where there are other characters in the token: a
word and its space are of the text that the word is of. Read `tokenize_labelled`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from saeflow.errors import DataError, ModelError
from saeflow.logs import progress
from saeflow.tokens.flags import excluded, flags_of
from saeflow.tokens.tokenize import bos_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from saeflow.labelled.labelled import Labelled

logger = logging.getLogger(__name__)

CUT, REFUSE = "cut", "refuse"
"""What is done about texts that are longer than the model's context."""

_BATCH_TEXTS = 1024
_SHOWN_CHARACTERS = 60


class TextTokens(NamedTuple):
    """Texts as tokens, one text after the other.

    Attributes
    ----------
    ids : ndarray (n_tokens,) int32
    offsets : ndarray (n_texts + 1,) int64
        Where each text begins.
    ordinary, in_text, in_concept : ndarray (n_tokens,) bool
        What is no special token; and of these what is of the raw text, and of the concept.
    facts : dict
        ``bos``, whether a BOS is put before each text; ``n_cut``, texts that lost their beginning;
        ``n_unknown``, unknown tokens.
    """

    ids: np.ndarray
    offsets: np.ndarray
    ordinary: np.ndarray
    in_text: np.ndarray
    in_concept: np.ndarray
    facts: dict[str, int | bool]

    @property
    def lengths(self) -> np.ndarray:
        """The number of tokens of each text, (n_texts,) int64."""
        return np.diff(self.offsets)

    @property
    def last(self) -> np.ndarray:
        """The last ordinary token of each text, (n_texts,) int64: numbers of tokens."""
        ordinary = np.flatnonzero(self.ordinary)
        return ordinary[np.searchsorted(ordinary, self.offsets[1:]) - 1]

    def of(self, texts: np.ndarray) -> TextTokens:
        """Return some of the texts, by their numbers, in this order."""
        lengths = self.lengths[texts]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        tokens = np.repeat(self.offsets[texts] - offsets[:-1], lengths) + np.arange(offsets[-1])
        own = (column[tokens] for column in (self.ordinary, self.in_text, self.in_concept))
        return TextTokens(self.ids[tokens], offsets, *own, self.facts)


def tokenize_labelled(
    tokenizer: PreTrainedTokenizerBase,
    labelled: Labelled,
    *,
    max_positions: int | None,
    bos: bool | str = "auto",
    long: str = CUT,
    where: Path | None = None,
) -> TextTokens:
    """Return labelled texts as tokens.

    Parameters
    ----------
    tokenizer
        The model's.
    labelled
        Their ``texts``, ``spans`` and ``concepts``.
    max_positions
        Positions of the model; None for as many as one likes.
    bos
        Whether a BOS stands before each text; "auto": as the tokenizer itself does. A text that
        begins with one of its own gets no second.
    long
        `CUT` to take from longer texts what is too much of their beginning, but for the BOS;
        `REFUSE` to raise.
    where
        The record of the texts, for messages.

    Raises
    ------
    DataError
        If a text has no ordinary token, or is too long and that is refused.
    """
    first = bos_of(tokenizer, bos, where=where)
    special = {
        "bos_id": tokenizer.bos_token_id,
        "eos_id": tokenizer.eos_token_id,
        "special_ids": tokenizer.all_special_ids,
    }
    parts: list[tuple[np.ndarray, ...]] = []
    n_cut, n_longest = 0, 0
    for number, ids, bounds in _encoded(tokenizer, labelled.texts):
        text, concept = labelled.texts[number], labelled.concepts[number]
        inside = _Inside(text, bounds)
        own = [
            flags_of(ids, **special),
            inside.touches(labelled.spans[number : number + 1]),
            inside.touches(np.empty((0, 2), np.int64) if concept is None else concept),
        ]
        has_bos = len(ids) > 0 and ids[0] == tokenizer.bos_token_id
        if first is not None and not has_bos:
            ids, has_bos = np.insert(ids, 0, first), True
            own = [np.insert(column, 0, 0) for column in own]
            own[0][0] = flags_of(ids[:1], **special)[0]
        n_longest = max(n_longest, len(ids))
        if max_positions is not None and len(ids) > max_positions:
            n_cut += 1
            kept = np.arange(len(ids)) >= len(ids) - max_positions + has_bos
            kept[0] |= has_bos
            ids, own = ids[kept], [column[kept] for column in own]
        ordinary = ~excluded(own[0])
        if not ordinary.any():
            raise _empty(number, text, where)
        parts.append((ids, ordinary, own[1] & ordinary, own[2] & ordinary))
    if n_cut and long == REFUSE:
        raise _too_long(n_cut, n_longest, max_positions, where)
    if n_cut:
        logger.warning(
            "%d of %d texts are longer than the context of %d tokens and lose their beginning",
            *(n_cut, len(parts), max_positions),
        )
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    offsets = np.concatenate([[0], np.cumsum([len(ids) for ids, *_ in parts])])
    unknown = tokenizer.unk_token_id
    n_unknown = 0 if unknown is None else int((columns[0] == unknown).sum())
    facts = {"bos": first is not None, "n_cut": n_cut, "n_unknown": n_unknown}
    return TextTokens(columns[0], offsets, *columns[1:], facts)


def _encoded(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each text's number, ids (n,) int32 and characters (n, 2) int64 of its tokens."""
    if not tokenizer.is_fast:
        raise ModelError(
            "this tokenizer does not say which characters its tokens stand for",
            where=type(tokenizer).__name__,
            expected="a tokenizer of the library tokenizers (tokenizer.json)",
            remedy="Name another tokenizer in the model's entry, or leave labelled texts out.",
        )
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    starts = range(0, len(texts), _BATCH_TEXTS)
    for start in progress(starts, desc="tokenize", unit="batches"):
        batch = list(texts[start : start + _BATCH_TEXTS])
        found = backend.encode_batch(batch, add_special_tokens=False)
        for number, one in enumerate(found, start):
            bounds = np.array(one.offsets, dtype=np.int64).reshape(-1, 2)
            yield number, np.array(one.ids, dtype=np.int32), bounds


class _Inside:
    """Says which tokens of a text touch some of its characters.

    ``bounds`` (n, 2) are the first character of each token and the one after its last, without the
    spaces that a tokenizer trims.
    """

    def __init__(self, text: str, bounds: np.ndarray) -> None:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        white = set(filter(str.isspace, set(text)))
        self._black = ~np.isin(points, [ord(one) for one in white])
        before = np.concatenate([[0], np.maximum.accumulate(bounds[:, 1])[:-1]])[: len(bounds)]
        starts = np.minimum(bounds[:, 0], before)
        n_black = _cumulated(self._black)
        skipped = n_black[bounds[:, 0]] - n_black[starts]
        self._starts = np.where(skipped > 0, bounds[:, 0], starts)
        self._ends = np.maximum(bounds[:, 1], self._starts)
        self._has_black = n_black[self._ends] > n_black[self._starts]

    def touches(self, spans: np.ndarray) -> np.ndarray:
        """Return which tokens (n,) have a character within one of ``spans`` (m, 2).

        Of a token with other characters than white space, only these count.
        """
        inside = np.zeros(len(self._black), dtype=bool)
        for start, end in spans:
            inside[start:end] = True
        any_inside, black_inside = (
            counts[self._ends] > counts[self._starts]
            for counts in (_cumulated(inside), _cumulated(inside & self._black))
        )
        return np.where(self._has_black, black_inside, any_inside)


def _cumulated(flags: np.ndarray) -> np.ndarray:
    """Return how many of ``flags`` (n,) are set before each place, (n + 1,)."""
    return np.concatenate([[0], np.cumsum(flags)])


def _empty(number: int, text: str, where: Path | None) -> DataError:
    return DataError(
        "a labelled text has no ordinary token",
        where=where,
        expected="at least one token that is not special or unknown",
        got=f"{text[:_SHOWN_CHARACTERS]!r}, text {number}",
        remedy="Leave this text out, or take a model whose tokenizer knows its words.",
    )


def _too_long(n: int, longest: int, most: int | None, where: Path | None) -> DataError:
    return DataError(
        "labelled texts are longer than the model's context",
        where=where,
        expected=f"at most {most} tokens",
        got=f"{n:,} texts that are longer, the longest of {longest:,} tokens",
        remedy="Set measures > states > long to cut, or leave these texts out.",
    )
