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


def runs_of(inputs, targets, separator):
    """Yield the runs of a batch as lists of (word, is decided), and the number of their row."""
    for index, (row, wanted) in enumerate(zip(inputs.tolist(), targets.tolist(), strict=True)):
        assert row[0] == separator
        run = []
        for word, previous in zip(row[1:], wanted[:-1], strict=True):
            if word == separator:
                yield index, run
                run = []
            else:
                run.append((word, previous != IGNORED))
                assert previous in (word, IGNORED)


def test_half_of_the_rows_repeat_a_run_and_all_targets_can_be_copied():
    inputs, targets = induction_batch(np.arange(50, 9000), 0, 640, np.random.default_rng(0))
    assert inputs.shape == targets.shape == (10, 64)
    n_decided = 0
    for row, run in runs_of(inputs, targets, 0):
        if row % 2:
            words = [word for word, _ in run]
            n_words = len(words) // 3
            assert words == words[:n_words] * 3
            assert [decided for _, decided in run] == [i > n_words for i in range(len(run))]
            n_decided += sum(decided for _, decided in run)
    assert n_decided > 50


def test_the_other_rows_name_one_of_two_words_and_then_the_other():
    inputs, targets = induction_batch(np.arange(50, 9000), 0, 6400, np.random.default_rng(0))
    starts = set()
    for row, run in runs_of(inputs, targets, 0):
        if not row % 2:
            pair = [word for word, _ in run[:2]]
            named = [word for word, _ in run[2:] if word in pair]
            assert len(named) % 2 == 0
            for first, second in zip(named[::2], named[1::2], strict=True):
                assert {first, second} == set(pair)
                starts.add(pair.index(first))
            assert [word for word, decided in run if decided] == named[1::2]
    assert starts == {0, 1}


def test_induction_uses_all_words_and_only_the_separator_besides():
    word_ids = np.arange(5, 15)
    inputs, _ = induction_batch(word_ids, 1, 6400, np.random.default_rng(0))
    assert set(inputs.unique().tolist()) == {1, *range(5, 15)}


def test_an_induction_batch_is_a_function_of_its_generator():
    batches = [induction_batch(np.arange(9), 0, 640, np.random.default_rng(s)) for s in (1, 1, 2)]
    assert torch.equal(batches[0][0], batches[1][0])
    assert not torch.equal(batches[0][0], batches[2][0])
