import numpy as np

from saeflow.tokens.sequences import Sequences


def some():
    return Sequences(
        token_ids=np.arange(10, 19),
        documents=np.array([0, 0, 0, 1, 1, 2, 2, 2, 2]),
        special=np.array([1, 0, 0, 1, 0, 1, 0, 0, 0], dtype=bool),
        offsets=np.array([0, 3, 5, 9]),
    )


def test_every_token_comes_once_with_its_document_and_flag():
    for batch_tokens in (1, 8, 100):
        seen = []
        for batch in some().batches(batch_tokens):
            real = batch.real.numpy()
            ids, ordinary = batch.input_ids.numpy(), batch.ordinary.numpy()
            seen += zip(ids[real], batch.documents[real], ordinary[real], strict=True)
            assert not ordinary[~real].any() and not ids[~real].any()
        expected = zip(some().token_ids, some().documents, ~some().special, strict=True)
        assert sorted(seen) == sorted(expected)


def test_padding_is_on_the_right_and_the_longest_come_first():
    (batch,) = some().batches(100)
    assert batch.input_ids.tolist() == [[15, 16, 17, 18], [10, 11, 12, 0], [13, 14, 0, 0]]


def test_a_batch_holds_at_most_its_tokens_but_always_one_sequence():
    assert [tuple(b.input_ids.shape) for b in some().batches(4)] == [(1, 4), (1, 3), (1, 2)]
    assert [tuple(b.input_ids.shape) for b in some().batches(8)] == [(2, 4), (1, 2)]


def test_a_batch_says_which_sequences_it_holds():
    assert [batch.numbers.tolist() for batch in some().batches(8)] == [[2, 0], [1]]


def test_the_first_sequences_are_as_many_as_have_the_wanted_tokens():
    for wanted, n in ((1, 1), (3, 1), (4, 2), (5, 2), (6, 3), (99, 3)):
        found = some().first(wanted)
        assert len(found.offsets) == n + 1
        assert found.token_ids.tolist() == list(range(10, 10 + [3, 5, 9][n - 1]))
        assert len(found.special) == len(found.documents) == len(found.token_ids)


def test_beginnings_of_sequences_have_their_first_tokens():
    found = some().beginnings(2)
    assert found.offsets.tolist() == [0, 2, 4, 6]
    assert found.token_ids.tolist() == [10, 11, 13, 14, 15, 16]
    assert found.documents.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.special.tolist() == [True, False, True, False, True, False]
    assert some().beginnings(9).token_ids.tolist() == some().token_ids.tolist()
