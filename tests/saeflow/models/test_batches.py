"""Tests of training batches."""

import numpy as np
import torch

from saeflow.models.batches import IGNORED, Sequences, induction_batch, text_batch

TOKENS = np.arange(100, 120, dtype=np.uint32)
OFFSETS = np.array([0, 4, 6, 10, 15, 20])


def sequences(first=0, last=5, seed=0):
    return Sequences(TOKENS, OFFSETS, first, last, seed=seed)


def starts(rows):
    return [int(row[0]) for row in rows]


def test_an_epoch_gives_every_sequence_of_the_split_once():
    assert sorted(starts(sequences(1, 4).take(0, 3))) == [104, 106, 110]


def test_epochs_have_different_orders_and_go_on_without_a_gap():
    orders = {tuple(starts(sequences().take(5 * epoch, 5))) for epoch in range(8)}
    assert len(orders) > 1
    assert all(sorted(order) == [100, 104, 106, 110, 115] for order in orders)
    crossing = starts(sequences().take(3, 4))
    assert crossing == starts(sequences().take(0, 10))[3:7]


def test_the_order_depends_on_the_seed():
    orders = {tuple(starts(sequences(seed=seed).take(0, 5))) for seed in range(8)}
    assert len(orders) > 1


def test_a_batch_is_a_function_of_its_step():
    first, again = (text_batch(sequences(), 3, 2, 0) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_targets_are_the_next_tokens_and_padding_has_none():
    inputs, targets = text_batch(sequences(0, 2), 0, 2, 7)  # lengths 4 and 2
    long = int((inputs[:, 0] == 100).nonzero())
    assert inputs[long].tolist() == [100, 101, 102, 103]
    assert targets[long].tolist() == [101, 102, 103, IGNORED]
    assert inputs[1 - long].tolist() == [104, 105, 7, 7]
    assert targets[1 - long].tolist() == [105, IGNORED, IGNORED, IGNORED]


def test_induction_targets_can_all_be_copied_from_the_input():
    word_ids = np.arange(50, 950)
    inputs, targets = induction_batch(word_ids, 0, 640, np.random.default_rng(0))
    assert inputs.shape == targets.shape == (10, 64)
    n_targets = 0
    for row, wanted in zip(inputs.tolist(), targets.tolist(), strict=True):
        for place, target in enumerate(wanted):
            if target != IGNORED:
                earlier = list(zip(row[:place], row[1 : place + 1], strict=True))
                assert (row[place], target) in earlier
                n_targets += 1
    assert n_targets > 0.4 * inputs.numel()


def test_induction_uses_all_words_and_only_the_separator_besides():
    word_ids = np.arange(5, 15)
    inputs, _ = induction_batch(word_ids, 1, 6400, np.random.default_rng(0))
    assert set(inputs.unique().tolist()) == {1, *range(5, 15)}
