"""Tests of n-gram models against probabilities computed by hand."""

import math

import numpy as np
import pytest

from saeflow.measures.benchmarks.ngrams import NGrams

# One sequence, two words: 0 occurs twice, 1 three times; pairs 01 10 01 11; triples 010 101 011.
TRAIN = np.array([0, 1, 0, 1, 1])
WHOLE = np.array([0, 5])


def probabilities(tokens, offsets=None, **settings):
    model = NGrams(TRAIN, WHOLE, vocab_size=2, **settings)
    tokens = np.array(tokens)
    found = model.log_probabilities(tokens, np.array(offsets or [0, len(tokens)]))
    return {order: np.exp(values) for order, values in found.items()}


def test_a_unigram_is_counts_and_types_over_the_uniform():
    # (2 + 2 / 2) / (5 + 2) and (3 + 2 / 2) / (5 + 2)
    assert probabilities([0, 1])[1] == pytest.approx([3 / 7, 4 / 7])


def test_a_bigram_is_smoothed_with_the_unigram():
    # After 0 always 1, twice: (2 + 1 * 4/7) / 3. After 1 once each: (1 + 2 * 3/7) / 4.
    found = probabilities([0, 1, 0])[2]
    assert found == pytest.approx([3 / 7, 6 / 7, 13 / 28])


def test_a_trigram_is_smoothed_with_the_bigram():
    # After 01 once each: (1 + 2 * 13/28) / 4.
    assert probabilities([0, 1, 0])[3] == pytest.approx([3 / 7, 6 / 7, 27 / 56])


def test_an_unseen_context_falls_back_to_the_shorter_one():
    # 00 never occurs, so P(1 | 00) is P(1 | 0).
    assert probabilities([0, 0, 1])[3][2] == pytest.approx(6 / 7)


def test_probabilities_of_all_words_sum_to_one():
    for context in ([0, 1], [1, 0], [1, 1], [0, 0]):
        sums = [
            sum(probabilities([*context, word])[order][-1] for word in (0, 1))
            for order in (1, 2, 3)
        ]
        assert sums == pytest.approx([1, 1, 1])


def test_no_ngram_crosses_the_start_of_a_sequence():
    split = NGrams(TRAIN, np.array([0, 2, 5]), vocab_size=2, highest=2)
    # Without the pair 10 at the border, 1 is followed by 1 alone: (1 + 1 * 4/7) / 2.
    found = split.log_probabilities(np.array([1, 1]), np.array([0, 2]))[2]
    assert found[1] == pytest.approx(math.log(11 / 14))
    alone = probabilities([0, 1], [0, 1, 2])[2]
    assert alone == pytest.approx([3 / 7, 4 / 7])


def test_offsets_may_start_anywhere():
    shifted = NGrams(TRAIN, WHOLE + 100, vocab_size=2)
    found = shifted.log_probabilities(np.array([0, 1, 0]), np.array([7, 10]))[3]
    assert np.exp(found) == pytest.approx([3 / 7, 6 / 7, 27 / 56])


def test_a_higher_order_predicts_text_with_structure_better():
    tokens = np.tile([0, 1, 0, 2], 200)
    whole = np.array([0, len(tokens)])
    found = NGrams(tokens, whole, vocab_size=3).log_probabilities(tokens, whole)
    losses = [-found[order].mean() for order in (1, 2, 3)]
    assert losses[0] > losses[1] + 0.3 > losses[2] + 0.6
    assert losses[2] < 0.05
