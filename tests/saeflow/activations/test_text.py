import numpy as np
import pytest
import torch

from saeflow.activations.reader import open_store
from saeflow.activations.text import Context
from tiny_stores import make_store

LENGTHS = {"train": [40] * 20, "validation": [], "test": [25] * 4}
N_ROWS = 900
BORDERS = [0, 255, 256, 511, 512, 767, 768, 899]


class Words:
    """A tokenizer whose tokens are numbers with a space before them."""

    def decode(self, ids):
        return "".join(f" {i}" for i in ids)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Rows that hold their own number, in shards of 256."""
    x = torch.arange(N_ROWS, dtype=torch.float32)[:, None].expand(-1, 4)
    return open_store(make_store(tmp_path_factory.mktemp("store"), x, LENGTHS))


@pytest.mark.parametrize("row", BORDERS)
def test_a_row_at_a_shard_border_knows_its_token_and_place(store, row):
    facts = store.text().facts(row)
    length, first = (40, row // 40 * 40) if row < 800 else (25, 800 + (row - 800) // 25 * 25)
    assert store.activations[facts.row][0] == row
    assert facts.token_id == store.rows.token_id[row]
    assert facts.position == row - first
    assert facts.document == (row // 40 if row < 800 else 20 + (row - 800) // 25)
    assert facts.flags == (("bos",) if row == first else ())
    assert facts.excluded == (row == first)
    assert store.text().sequence(row) == range(first, first + length)
    assert store.text().document(facts.document) == range(first, first + length)


@pytest.mark.parametrize("row", BORDERS)
def test_the_context_is_the_text_around_the_row_within_its_sequence(store, row):
    text = store.text(Words())
    sequence = text.sequence(row)
    ids = store.rows.token_id

    def words(start, end):
        rows = range(max(start, sequence.start), min(end, sequence.stop))
        return "".join(f" {ids[r]}" for r in rows)

    expected = Context(words(row - 3, row), f" {ids[row]}", words(row + 1, row + 3))
    assert text.context(row, before=3, after=2) == expected
    assert text.context(row - text.n_rows, before=3, after=2) == expected


def test_a_token_that_changes_the_text_before_it_is_shown_alone(store):
    class Joined:
        def decode(self, ids):
            return "<" + " ".join(map(str, ids)) + ">"

    ids = store.rows.token_id.tolist()
    found = store.text(Joined()).context(300, before=1, after=1)
    assert found == Context(f"<{ids[299]}>", f"<{ids[300]}>", f"<{ids[301]}>")


def test_the_offsets_of_documents_cover_all_rows_once(store):
    text = store.text()
    offsets = text.doc_offsets
    assert offsets.dtype == np.int64
    assert (offsets[0], offsets[-1], len(offsets)) == (0, N_ROWS, 25)
    assert [text.document(n).start for n in range(24)] == offsets[:-1].tolist()
    assert text.document(99) == range(0)


def test_rows_count_from_the_end_too_and_end_there(store):
    assert store.text().facts(-1).row == 899
    for row in (900, -901):
        with pytest.raises(IndexError, match="of 900"):
            store.text().facts(row)


def test_text_needs_a_tokenizer(store):
    with pytest.raises(TypeError, match="tokenizer"):
        store.text().context(3)
