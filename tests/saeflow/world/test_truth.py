"""What is said of tokens is what the grammar wrote of the words that they are."""

import numpy as np
import pandas as pd
import pytest

from saeflow.errors import DataError
from saeflow.tokens.flags import excluded
from saeflow.tokens.store import open_tokens
from saeflow.work import bulk_of
from saeflow.world.document import ROLE_ID
from saeflow.world.truth import read_truth, speech
from tiny_world import make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), n_tokens=20_000)


@pytest.fixture(scope="module")
def tokens(world):
    """The ordinary tokens of the test split, with gaps where separators stand."""
    store = open_tokens(world.tokens)
    kept = np.zeros(store.n_tokens, dtype=bool)
    kept[slice(*store.token_range("test"))] = True
    kept &= ~excluded(store.flags)
    return [getattr(store, n)[kept] for n in ("document", "document_position", "token_id")]


def test_every_token_has_the_truth_of_its_word(world, tokens):
    truth = read_truth(world.dataset, *tokens)
    table = pd.read_parquet(bulk_of(world.dataset) / "documents.parquet").set_index("document")
    assert len(truth.word) > 500
    for i in range(0, len(truth.word), 7):
        row, place = table.loc[tokens[0][i]], tokens[1][i]
        assert truth.word[i] == row["text"].split()[place]
        for name in ("role", "polarity", "negated", "mention"):
            assert getattr(truth, name)[i] == row[name][place]
        for name in ("kind", "topic", "label"):
            assert getattr(truth, name)[i] == row[name]


def test_the_order_of_tokens_is_kept(world, tokens):
    forward = read_truth(world.dataset, *tokens)
    backward = read_truth(world.dataset, *(column[::-1] for column in tokens))
    for one, other in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(one, other[::-1])


def test_speech_is_what_stands_between_marks_and_who_says_it_is_named_after():
    name, surname = ROLE_ID["name"], ROLE_ID["surname"]
    words = '" I lost it , " said Anna Reed . " where is it ? " Ben asked Anna . " no'.split()
    roles = [{"Anna": name, "Ben": name, "Reed": surname}.get(word, 0) for word in words]
    quoted, speaker = speech(words, roles)
    assert [word for word, own in zip(words, quoted, strict=True) if own] == (
        "I lost it , where is it ?".split()
    )
    assert np.flatnonzero(speaker).tolist() == [7, 8, words.index("Ben")]


def test_a_speech_at_the_end_has_no_speaker():
    quoted, speaker = speech('he said " no "'.split(), [0] * 5)
    assert quoted.tolist() == [False, False, False, True, False] and not speaker.any()


def test_tokens_that_are_no_words_are_refused(world, tokens):
    document, position, token_id = tokens
    with pytest.raises(DataError, match="they are no words"):
        read_truth(world.dataset, document, position, token_id % 7)
    with pytest.raises(DataError, match="beyond the last word"):
        read_truth(world.dataset, document, position + 400, token_id)
