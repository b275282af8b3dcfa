"""Training sets by setting: their sizes, shares and labels, counted."""

import numpy as np
import pytest

from saeflow.probing.draws import SETTINGS, draw

SETTINGS_OF = {
    "train": 1024, "sizes": [5, 16, 64], "shares": [0.1, 0.5, 0.9], "flips": [0.1, 0.3],
    "seeds": [0], "permutations": 1,
}  # fmt: skip


def labels(n=200, n_positive=80):
    return np.random.default_rng(1).permutation(np.arange(n) < n_positive)


def by_setting(positive, shift=False, **settings):
    drawn, _ = draw(positive, {**SETTINGS_OF, **settings}, shift=shift)
    return {name: [one for one in drawn if one.setting == name] for name in SETTINGS}


def test_the_normal_one_has_all_examples_with_their_labels():
    positive = labels()
    (one,) = by_setting(positive)["normal"]
    assert sorted(one.rows) == list(range(200))
    assert one.rows.tolist() != list(range(200))
    np.testing.assert_array_equal(one.positive, positive[one.rows])
    assert np.isnan(one.level)


def test_of_more_than_wanted_the_normal_one_has_so_many_in_the_shares_of_the_classes():
    (one,) = by_setting(labels(), train=50)["normal"]
    assert len(set(one.rows)) == 50
    assert one.positive.sum() == 20


def test_few_examples_are_half_positive_and_the_fewer_are_among_the_more():
    drawn = by_setting(labels())["scarcity"]
    assert [(one.level, len(one.rows), one.positive.sum()) for one in drawn] == [
        (5.0, 5, 3), (16.0, 16, 8), (64.0, 64, 32),
    ]  # fmt: skip
    assert {*drawn[0].rows} < {*drawn[1].rows} < {*drawn[2].rows}


def test_sizes_that_a_task_does_not_have_are_left_out_with_the_reason():
    drawn, left_out = draw(labels(), {**SETTINGS_OF, "sizes": [16, 162]})
    assert [one.level for one in drawn if one.setting == "scarcity"] == [16.0]
    assert left_out == {"scarcity 162": "there are 80 positive and 120 negative training examples"}


def test_under_imbalance_all_sets_have_the_largest_size_that_all_shares_allow():
    positive = labels()  # 80 / 0.9 = 88.9 allow 88; 120 / 0.9 allow more
    drawn = by_setting(positive)["imbalance"]
    assert [(one.level, len(one.rows), one.positive.sum()) for one in drawn] == [
        (0.1, 88, 9), (0.5, 88, 44), (0.9, 88, 79),
    ]  # fmt: skip
    for one in drawn:
        np.testing.assert_array_equal(one.positive, positive[one.rows])


def test_noise_turns_so_many_labels_of_the_normal_set_and_keeps_those_that_it_turned():
    positive = labels()
    found = by_setting(positive)
    turned = []
    for one, share in zip(found["noise"], (0.1, 0.3), strict=True):
        np.testing.assert_array_equal(one.rows, found["normal"][0].rows)
        turned.append({*np.flatnonzero(one.positive != positive[one.rows])})
        assert len(turned[-1]) == int(share * 200)
    assert turned[0] < turned[1]


def test_shuffled_labels_are_as_many_of_each_in_another_order():
    positive = labels()
    (one,), (normal,) = (by_setting(positive)[name] for name in ("shuffled", "normal"))
    np.testing.assert_array_equal(one.rows, normal.rows)
    assert one.positive.sum() == 80
    # two fifths of the 80 positive examples, and two fifths of the 120 others
    assert one.positive[normal.positive].sum() == 32
    assert one.positive[~normal.positive].sum() == 48


def test_shift_is_there_where_it_can_be_tested_and_is_the_normal_set():
    found = by_setting(labels(), shift=True)
    np.testing.assert_array_equal(found["shift"][0].rows, found["normal"][0].rows)
    assert not by_setting(labels())["shift"]


def test_seeds_draw_others_and_the_settings_do_not_depend_on_one_another():
    found = by_setting(labels(), seeds=[0, 1])
    one, other = found["normal"]
    assert one.rows.tolist() != other.rows.tolist()
    alone = by_setting(labels(), sizes=[64], shares=[], flips=[0.3])
    for name, place in (("scarcity", 2), ("noise", 1), ("shuffled", 0), ("normal", 0)):
        np.testing.assert_array_equal(
            alone[name][0].positive, [one for one in found[name] if one.seed == 0][place].positive
        )


@pytest.mark.parametrize("positive", [np.ones(9, bool), np.zeros(9, bool), np.zeros(0, bool)])
def test_of_one_class_there_is_no_training_set(positive):
    assert draw(positive, SETTINGS_OF)[0] == []


def test_labels_are_permuted_as_often_as_asked_and_for_each_task_in_its_own_way():
    positive = labels()
    several = by_setting(positive, permutations=3)["shuffled"]
    assert [one.seed for one in several] == [0, 1, 2]
    first = several[0].positive
    assert not any(np.array_equal(first, one.positive) for one in several[1:])
    (other,) = by_setting(~positive)["shuffled"]
    assert not np.array_equal(other.positive, ~first)
