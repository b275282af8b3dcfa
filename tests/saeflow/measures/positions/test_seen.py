"""Which sequences hold documents of a training, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from saeflow.measures.positions.seen import seen, trained_share, why_unseen
from saeflow.tokens.flags import BOS
from saeflow.tokens.store import open_tokens
from tiny_stores import make_tokens


class Tokens:
    """A token store of whole columns: a training split of two-token rows from position 4 on."""

    def __init__(self, identity, documents, lengths, first=0):
        self.record = {"identity": identity}
        n = len(documents)
        offsets = np.concatenate([[0], np.cumsum(lengths)]) + first
        pad = np.full(first, 99)
        values = {
            "document": np.concatenate([pad, documents]), "token_id": np.arange(first + n),
            "flags": np.full(first + n, 0), "sequence_offsets": offsets,
        }  # fmt: skip
        self.columns = self
        self.read = lambda name, a, b: values[name][a:b]
        self._tokens, self._sequences = (first, first + n), (0, len(lengths))

    def token_range(self, split):
        return self._tokens if split == "train" else (0, 0)

    def sequence_range(self, split):
        return self._sequences if split == "train" else (0, 0)


LONG = Tokens("long", [5, 5, 5, 7, 7, 8, 2, 2, 5, 5], [3, 3, 2, 2], first=4)


def test_a_sequence_with_one_other_document_is_left_out():
    part = seen(LONG, Tokens("short", [2, 5, 7], [3]), 100)  # 8 was not trained on
    assert part.rows.tolist() == [4, 5, 6, 10, 11, 12, 13]
    assert part.tokens.offsets.tolist() == [0, 3, 5, 7]
    assert part.tokens.documents.tolist() == [5, 5, 5, 2, 2, 5, 5]
    assert part.tokens.token_ids.tolist() == part.rows.tolist()
    assert part.positions.tolist() == [0, 1, 2, 0, 1, 0, 1]
    assert part.name == "seen"


@pytest.mark.parametrize(("wanted", "n_taken"), [(1, 3), (3, 3), (4, 5), (100, 7)])
def test_as_many_tokens_as_wanted_are_taken_from_the_front(wanted, n_taken):
    assert len(seen(LONG, Tokens("short", [2, 5, 7], [3]), wanted).rows) == n_taken


def test_of_the_training_itself_every_sequence_is_known_and_of_none_nothing():
    assert len(seen(LONG, LONG, 100).rows) == 10
    nothing = seen(LONG, Tokens("short", [1], [1]), 100)
    assert len(nothing.rows) == 0 and len(nothing.tokens.scored) == 0


@pytest.mark.parametrize(
    ("header", "trained", "why"),
    [
        ({"tokens": "short"}, "short", ""),
        ({"tokens": "short"}, "long", "it was trained on another dataset"),
        ({"tokens": "short"}, None, "it was trained on another dataset"),
        ({"tokens": "short", "imported": {}}, "short", "it was trained elsewhere"),
        ({"tokens": "short", "training": {"tokens": 0}}, "short", "it was not trained"),
        ({"tokens": "short", "training": {}}, "short", "it was not trained"),
    ],
)
def test_why_no_document_is_known_to_be_seen(header, trained, why):
    stores = {"short": Tokens("short", [5], [1]), "long": LONG, None: None}
    header = {"training": {"tokens": 10}, **header}
    assert why_unseen(header, LONG, stores[trained]) == why
    assert why_unseen(header, LONG, stores[trained], asked=False) == "not asked for"
    empty = Tokens("empty", [], [])
    told = why_unseen(header, empty, stores[trained])
    assert told == (why or "they are not among the sequences that it is measured on")


def test_the_share_counts_ordinary_tokens_and_is_at_most_one(tmp_path):
    store = open_tokens(make_tokens(tmp_path, {"train": [11, 11], "test": [5]}))
    assert (np.asarray(store.flags) & BOS).sum() == 3
    assert trained_share({"training": {"tokens": 5}}, store) == 0.25
    assert trained_share({"training": {"tokens": 50}}, store) == 1
