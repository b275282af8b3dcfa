"""Tests of the generated documents."""

from collections import Counter
from itertools import islice

import pytest

from saeflow.world import vocabulary
from saeflow.world.corpus import SHARES, generate_documents
from saeflow.world.document import KINDS, ROLE_ID


@pytest.fixture(scope="module")
def documents():
    return list(generate_documents(3, 60_000))


def words_with(document, role):
    return [w for w, r in zip(document.words, document.role, strict=True) if r == ROLE_ID[role]]


def test_the_same_seed_gives_the_same_documents(documents):
    again = list(generate_documents(3, 60_000))
    assert again == documents


def test_another_seed_gives_other_documents(documents):
    other = {document.text for document in generate_documents(4, 60_000)}
    assert len(other & {document.text for document in documents}) < 0.01 * len(documents)


def test_more_tokens_only_add_documents(documents):
    shorter = list(generate_documents(3, 20_000))
    assert documents[: len(shorter)] == shorter


def test_there_are_as_many_words_as_asked_for_and_not_a_document_more(documents):
    n_words = sum(len(document.words) for document in documents)
    assert 60_000 <= n_words < 60_000 + len(documents[-1].words)


def test_every_truth_is_aligned_with_the_words(documents):
    for document in documents:
        n_words = len(document.words)
        assert document.text.split() == document.words
        for truth in ("role", "polarity", "negated", "mention", "sentence"):
            assert len(getattr(document, truth)) == n_words, (document.kind, truth)


def test_sentences_are_numbered_without_gaps(documents):
    for document in documents:
        assert document.sentence[0] == 0
        steps = {b - a for a, b in zip(document.sentence, document.sentence[1:], strict=False)}
        assert steps <= {0, 1}


def test_kinds_that_are_not_wanted_are_left_out():
    reviews = list(generate_documents(3, 5000, kinds=["review"]))
    assert {document.kind for document in reviews} == {"review"}
    assert sum(len(document.words) for document in reviews) >= 5000


def test_kinds_have_their_shares(documents):
    counts = Counter(document.kind for document in documents)
    assert set(counts) == set(KINDS)
    expected = SHARES["story"] + SHARES["long_story"]
    assert counts["story"] / len(documents) == pytest.approx(expected, abs=0.08)


def test_words_have_the_roles_of_their_lists(documents):
    for document in documents:
        assert set(words_with(document, "name")) <= set(vocabulary.NAMES)
        assert set(words_with(document, "surname")) <= set(vocabulary.SURNAMES)
        assert set(words_with(document, "colour")) <= set(vocabulary.COLOURS)
        if document.kind != "review":
            topic = vocabulary.TOPICS[document.topic]
            assert set(words_with(document, "owned_object")) <= set(topic.objects)
            assert set(words_with(document, "place")) <= set(topic.places)


def test_only_reviews_have_stars_and_polarity(documents):
    for document in documents:
        is_review = document.kind == "review"
        assert (document.label in range(1, 6)) == is_review
        assert any(document.polarity) == is_review


def test_what_is_negated_means_the_opposite_of_its_words(documents):
    good = {*vocabulary.PRAISE, *vocabulary.LIKING_VERBS}
    checked = 0
    for document in documents:
        rows = zip(document.words, document.role, document.polarity, document.negated, strict=True)
        for word, role, polarity, negated in rows:
            if role == ROLE_ID["sentiment"]:
                lexical = 1 if word in good else -1
                assert polarity == (-lexical if negated else lexical), document.text
                checked += 1
    assert checked > 1000


def test_stars_decide_the_share_of_praise():
    reviews = [d for d in generate_documents(0, 300_000) if d.kind == "review"]
    praise = {}
    for stars in (1, 5):
        signs = [p for d in reviews if d.label == stars for p in d.polarity if p]
        praise[stars] = sum(sign > 0 for sign in signs) / len(signs)
    assert praise[1] < 0.25 and praise[5] > 0.75


def test_documents_are_made_one_by_one():
    assert len(list(islice(generate_documents(0, 10**12), 3))) == 3
