"""Folds of training sets, by the rules of the paper."""

import numpy as np
import pytest

from saeflow.probing.folds import folds_of


def labels(n, n_positive=None, seed=0):
    positive = np.arange(n) < (n // 2 if n_positive is None else n_positive)
    return np.random.default_rng(seed).permutation(positive)


@pytest.mark.parametrize("n", [4, 7, 12, 13, 127, 128, 1000])
def test_a_fold_s_parts_are_all_rows_once_and_have_both_classes(n):
    positive = labels(n)
    for fold in folds_of(positive):
        assert sorted([*fold.fit, *fold.look]) == list(range(n))
        assert all(set(positive[part]) == {False, True} for part in fold)


def test_of_few_examples_each_pair_of_unlike_ones_is_left_out_once():
    positive = labels(12)
    pairs = {tuple(fold.look) for fold in folds_of(positive)}
    both = {(i, j) for i in range(12) for j in range(i + 1, 12) if positive[i] != positive[j]}
    assert pairs == both
    assert len(pairs) == 36


def test_of_more_there_are_six_folds_with_the_classes_in_their_shares():
    folds = folds_of(labels(60))
    assert len(folds) == 6
    assert sorted(np.concatenate([fold.look for fold in folds])) == list(range(60))
    assert [int(labels(60)[fold.look].sum()) for fold in folds] == [5] * 6


@pytest.mark.parametrize(("n", "held_out"), [(128, 25), (400, 80), (1024, 100)])
def test_of_many_the_last_fifth_is_looked_at(n, held_out):
    (fold,) = folds_of(labels(n))
    assert fold.look.tolist() == list(range(n - held_out, n))


def test_where_the_last_fifth_has_one_class_there_are_six_folds():
    positive = np.arange(200) < 20
    assert len(folds_of(positive)) == 6


@pytest.mark.parametrize(
    "positive", [[True, False], [True, False, False], [True] * 9, [True] * 8 + [False]]
)
def test_where_nothing_can_be_held_out_there_is_no_fold(positive):
    assert folds_of(np.array(positive)) == []


def test_folds_are_those_of_scikit_learn_which_a_seed_decides():
    positive = labels(60)
    one, other = (folds_of(positive, seed=seed) for seed in (0, 1))
    assert any((a.look != b.look).any() for a, b in zip(one, other, strict=True))
    again = folds_of(positive, seed=0)
    assert all((a.look == b.look).all() for a, b in zip(one, again, strict=True))
