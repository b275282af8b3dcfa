"""What is known of tokens of a generated world: the truth of its words, token by token.

Read `read_truth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from saeflow.errors import DataError
from saeflow.work import bulk_of
from saeflow.world.document import ROLE_ID

_QUOTE = '"'
_OF_WORDS = ("role", "polarity", "negated", "mention")
_OF_DOCUMENTS = ("kind", "topic", "label")


class Truth(NamedTuple):
    """What is true of some tokens, each of which is a word; all arrays are (n_tokens,).

    Attributes
    ----------
    word : ndarray of str
    role, polarity, negated, mention : ndarray of int
        As of `saeflow.world.document.Document`.
    kind, topic : ndarray of str
    label : ndarray of int
        Those of the document.
    quoted : ndarray of bool
        Words that somebody says: those between quotation marks.
    speaker : ndarray of bool
        The name, and the surname, of who says what has just been quoted.
    """

    word: np.ndarray
    role: np.ndarray
    polarity: np.ndarray
    negated: np.ndarray
    mention: np.ndarray
    kind: np.ndarray
    topic: np.ndarray
    label: np.ndarray
    quoted: np.ndarray
    speaker: np.ndarray

    def part(self, tokens: slice) -> Truth:
        """Return the truth of some of the tokens."""
        return Truth(*(column[tokens] for column in self))


def read_truth(
    dataset: Path, document: np.ndarray, position: np.ndarray, token_id: np.ndarray
) -> Truth:
    """Return what a generated dataset says of tokens.

    Parameters
    ----------
    dataset
        ``dataset.json``.
    document, position, token_id : ndarray (n_tokens,)
        The number of each token's document, its place among the document's tokens, and its id.

    Raises
    ------
    DataError
        If tokens are not words.
    """
    numbers, of_document = np.unique(document, return_inverse=True)
    table = _documents(bulk_of(dataset) / "documents.parquet", numbers)
    texts = [text.split() for text in table["text"].to_pylist()]
    starts = np.concatenate([[0], np.cumsum([len(words) for words in texts])])
    at = starts[of_document] + position.astype(np.int64)
    inside = at < starts[of_document + 1]
    word = np.array([word for words in texts for word in words])
    _require_words(dataset, word[at[inside]], token_id[inside], n_beyond=int((~inside).sum()))
    columns = {name: _flat(table[name])[at] for name in _OF_WORDS}
    columns |= {name: table[name].to_numpy()[of_document] for name in _OF_DOCUMENTS}
    said = [speech(*pair) for pair in zip(texts, table["role"].to_pylist(), strict=True)]
    quoted, speaker = (np.concatenate(parts)[at] for parts in zip(*said, strict=True))
    return Truth(word=word[at], **columns, quoted=quoted, speaker=speaker)


def speech(words: Sequence[str], roles: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return which words of a document are said by somebody, and which name who says them.

    Parameters
    ----------
    words, roles
        Of a whole document; the marks before and after a speech are the same word.

    Returns
    -------
    quoted, speaker : ndarray (n_words,) bool
        The marks themselves are neither. A speaker is named right after the second mark, with at
        most a verb before ("said Anna Reed", "Anna asked").
    """
    marks = [i for i, word in enumerate(words) if word == _QUOTE]
    quoted, speaker = np.zeros(len(words), dtype=bool), np.zeros(len(words), dtype=bool)
    for first, last in zip(marks[::2], marks[1::2], strict=False):
        quoted[first + 1 : last] = True
        name = next((i for i in range(last + 1, last + 3) if _is(roles, i, "name")), None)
        if name is not None:
            speaker[name] = True
            speaker[name + 1 : name + 2] = _is(roles, name + 1, "surname")
    return quoted, speaker


def _documents(path: Path, numbers: np.ndarray) -> pa.Table:
    """Return the documents of these numbers, rising; they lie in the order of their numbers."""
    parts, first = [], 0
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            n = file.metadata.row_group(group).num_rows
            own = numbers[(numbers >= first) & (numbers < first + n)]
            if len(own):
                columns = ["text", *_OF_WORDS, *_OF_DOCUMENTS]
                read = file.read_row_group(group, columns=columns, use_threads=False)
                parts.append(read.take(pa.array(own - first)))
            first += n
    return pa.concat_tables(parts)


def _is(roles: Sequence[int], place: int, role: str) -> bool:
    return place < len(roles) and roles[place] == ROLE_ID[role]


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    return column.combine_chunks().flatten().to_numpy()


def _require_words(dataset: Path, word: np.ndarray, token_id: np.ndarray, *, n_beyond: int) -> None:
    """Raise a `DataError` unless every token stands for one word, and every word for one token."""
    pairs = set(zip(word.tolist(), token_id.tolist(), strict=True))
    n_words, n_ids = (len({pair[side] for pair in pairs}) for side in (0, 1))
    if n_beyond or not n_words == n_ids == len(pairs):
        raise DataError(
            "what is true of this world's words cannot be said of these tokens: they are no words",
            where=dataset,
            expected="one token a word, and always the same one",
            got=f"{len(pairs):,} pairs of {n_words:,} words and {n_ids:,} tokens"
            + (f"; {n_beyond:,} tokens beyond the last word" if n_beyond else ""),
            remedy="Take a model whose tokenizer is trained on the world (tokenizers > train), or"
            " set measures > facts to null.",
        )
