import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saeflow.errors import DataError
from saeflow.tokens import packing
from saeflow.tokens.packing import Document, check_bos, limited, one_per_sequence, pack

BOS, EOS = 1, 2


def documents(*texts):
    return [Document(10 + i, np.array(ids, np.uint32)) for i, ids in enumerate(texts)]


def packed(*texts, **options):
    return list(pack(documents(*texts), **options))


def rows(blocks, column="token_id"):
    found = []
    for block in blocks:
        ends = np.cumsum(block.lengths)
        parts = np.split(getattr(block, column), ends[:-1]) if len(ends) else []
        found += [part.tolist() for part in parts]
    return found


def test_documents_are_joined_with_the_separator_and_cut():
    blocks = packed([3, 4, 5], [6], [7, 8], context_length=4, bos_id=None, separator=[EOS])
    assert rows(blocks) == [[3, 4, 5, EOS], [6, EOS, 7, 8]]
    assert rows(blocks, "document") == [[10, 10, 10, 10], [11, 11, 12, 12]]
    assert rows(blocks, "document_position") == [[0, 1, 2, 2], [0, 0, 0, 1]]
    assert rows(blocks, "separator") == [[False, False, False, True], [False, True, False, False]]
    assert rows(blocks, "position") == [[0, 1, 2, 3]] * 2
    assert sum(b.remainder for b in blocks) == 0


def test_each_packed_sequence_begins_with_bos_and_takes_the_next_tokens_place():
    blocks = packed([3, 4, 5, 6, 7], context_length=3, bos_id=BOS, separator=[])
    assert rows(blocks) == [[BOS, 3, 4], [BOS, 5, 6]]
    assert rows(blocks, "document_position") == [[0, 0, 1], [2, 2, 3]]
    assert sum(b.remainder for b in blocks) == 1


def test_a_bos_put_before_a_separator_is_none_itself():
    blocks = packed([3, 4], [5], context_length=3, bos_id=BOS, separator=[EOS])
    assert rows(blocks) == [[BOS, 3, 4], [BOS, EOS, 5]]
    assert rows(blocks, "separator") == [[False] * 3, [False, True, False]]


def test_a_separator_that_is_the_bos_begins_a_sequence_alone():
    blocks = packed([3, 4], [5, 6], [7], context_length=3, bos_id=BOS, separator=[BOS])
    assert rows(blocks) == [[BOS, 3, 4], [BOS, 5, 6], [BOS, 7, BOS]]
    for block in blocks:
        check_bos(block, BOS)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.lists(st.integers(3, 9), min_size=1, max_size=12), min_size=1, max_size=12),
    context_length=st.integers(2, 9),
    bos=st.booleans(),
    separator=st.sampled_from([[], [EOS], [BOS], [4, 5]]),
    block_tokens=st.integers(1, 40),
)
def test_packing_loses_nothing_but_the_counted_remainder(
    texts, context_length, bos, separator, block_tokens
):
    cut = {"context_length": context_length, "bos_id": BOS if bos else None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_BLOCK_TOKENS", block_tokens)
        blocks = packed(*texts, **cut, separator=separator)
    stream = [t for ids in texts for t in [*ids, *separator]]
    kept = []
    for row in rows(blocks):
        assert len(row) == context_length
        added = bos and (separator != [BOS] or stream[len(kept)] != BOS)
        assert not bos or row[0] == BOS
        kept += row[1:] if added else row
    assert kept == stream[: len(kept)]
    assert len(stream) - len(kept) < context_length
    in_text = [(10 + i, p) for i, ids in enumerate(texts) for p in range(len(ids))]
    found = [
        (d, p)
        for block in blocks
        for t, d, p, s, w in zip(*block[:4], block.position, strict=True)
        if not s and not (bos and w == 0 and t == BOS)
    ]
    assert found == in_text[: len(found)]
    assert len(in_text) - len(found) == sum(b.remainder for b in blocks)


def test_one_document_a_sequence_is_cut_off_and_the_loss_counted():
    texts = documents([3, 4, 5, 6], [7], [8, 9])
    blocks = list(one_per_sequence(texts, context_length=3, bos_id=BOS))
    assert rows(blocks) == [[BOS, 3, 4], [BOS, 7], [BOS, 8, 9]]
    assert rows(blocks, "document") == [[10] * 3, [11] * 2, [12] * 3]
    assert rows(blocks, "document_position") == [[0, 0, 1], [0, 0], [0, 0, 1]]
    assert blocks[0].dropped.tolist() == [2, 0, 0]


def test_without_bos_a_document_may_fill_the_whole_sequence():
    blocks = one_per_sequence(documents([3, 4, 5]), context_length=3, bos_id=None)
    assert rows(blocks) == [[3, 4, 5]]


@pytest.mark.parametrize(
    ("limit", "n"), [(None, 3), (8, 3), (7, 2), (5, 2), (4, 1), (2, 0), (0, 0)]
)
def test_a_limit_takes_whole_sequences_and_never_more(limit, n):
    blocks = one_per_sequence(documents([3, 4], [5], [6, 7]), context_length=3, bos_id=BOS)
    assert rows(limited(blocks, limit)) == [[BOS, 3, 4], [BOS, 5], [BOS, 6, 7]][:n]


def test_a_limit_counts_the_loss_of_what_it_took_only():
    blocks = one_per_sequence(documents([3, 4, 5], [5, 6, 7]), context_length=2, bos_id=None)
    (block,) = limited(blocks, 2)
    assert block.dropped.tolist() == [1]


def test_a_double_bos_names_its_document():
    (block,) = one_per_sequence(documents([3], [BOS, 4]), context_length=5, bos_id=BOS)
    with pytest.raises(DataError, match="document 11, token 0.*two BOS"):
        check_bos(block, BOS)


def test_a_bos_at_the_end_of_one_sequence_and_the_start_of_the_next_is_no_double():
    (block,) = one_per_sequence(documents([3, BOS], [4]), context_length=5, bos_id=BOS)
    check_bos(block, BOS)
    assert rows([block]) == [[BOS, 3, BOS], [BOS, 4]]
