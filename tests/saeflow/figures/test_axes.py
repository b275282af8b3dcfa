"""Ends, cuts and ticks of axes, by numbers computed by hand."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from saeflow.figures.axes import (
    cut_note,
    layer_axis,
    log_numbers,
    mark_cut,
    name_axis,
    short,
    span_of,
)


def rows(values, halves):
    values, halves = np.array(values, float), np.array(halves, float)
    return pd.DataFrame({"v": values, "v_low": values - halves, "v_high": values + halves})


def test_an_interval_as_wide_as_16_does_not_decide_the_axis():
    found = rows([0.1, 0.2, 0.3, 0.25], [0.05, 0.05, 0.05, 16])
    # precise ends and the base: 0 to .35; half of it more to either side
    assert span_of(found, "v", base=0.0) == pytest.approx((-0.175, 0.525))


def test_a_value_that_is_precise_is_seen_however_far_it_lies():
    assert span_of(rows([0.1, 0.2, 5.0], [0.05] * 3), "v") == pytest.approx((0.05, 5.05))


def test_a_value_is_seen_that_is_less_precise_than_others_but_presses_none_flat():
    # a ReLU SAE's bias beside those of TopK SAEs, which hardly vary
    found = rows([1.0, 0.98, 0.99, 0.3], [0.001, 0.001, 0.001, 0.01])
    assert span_of(found, "v", base=1.0) == pytest.approx((0.29, 1.001))


def test_intervals_that_are_all_wide_are_seen_whole():
    assert span_of(rows([0.1, 0.2], [3, 4]), "v", base=0.0) == pytest.approx((-3.8, 4.2))


def test_without_intervals_all_values_are_seen():
    found = rows([1.0, 7.0], [np.nan, np.nan])
    assert span_of(found, "v") == (1, 7)
    assert span_of(rows([3.0], [np.nan]), "v") == (3, 3)


def test_few_values_without_a_width_do_not_make_all_others_imprecise():
    # exact values beside measured ones, as those of a frozen encoder
    assert span_of(rows([1, 2, 3, 4], [0, 0, 0.5, 0.5]), "v") == pytest.approx((1, 4.5))


def test_ratios_decide_on_a_logarithmic_axis():
    found = rows([10.0, 40.0, 20.0], [0.1, 0.4, 15])
    # 9.9 to 40.4 is a ratio of 4.08; the root of it more below, where the interval ends at 5
    low, high = span_of(found, "v", log=True)
    assert low == pytest.approx(5.0) and high == pytest.approx(40.4)


def test_what_goes_beyond_is_marked_at_its_edge_and_counted():
    ax = Figure().subplots()
    found = rows([0.1, 0.2, 9.0, 0.3], [0.05, 3, 0.01, 0.05])
    span = span_of(found.iloc[[0, 3]], "v", base=0.0)
    assert mark_cut(ax, [0, 1, 2, 3], found, "v", span) == 3
    below, above = ax.lines
    assert list(below.get_xdata()) == [1] and list(above.get_xdata()) == [1, 2]
    assert "(3)" in cut_note(3)[0] and cut_note(0) == ()


@pytest.mark.parametrize(
    ("low", "high", "numbers"),
    [
        (0.9, 1200, [1, 10, 100, 1000]),
        (26, 75, [30, 50, 70]),
        (5, 60, [5, 10, 20, 50]),
        (47, 67, [50, 55, 60, 65]),
        (2.0, 2.2, [2.0, 2.1, 2.2]),
        (1e-3, 0.2, [1e-3, 3e-3, 1e-2, 3e-2, 0.1]),
    ],
)
def test_a_logarithmic_axis_has_a_few_round_numbers(low, high, numbers):
    assert log_numbers(low, high) == pytest.approx(numbers)


def test_a_logarithmic_axis_never_has_a_single_number():
    random = np.random.default_rng(0)
    for _ in range(500):
        low = 10 ** random.uniform(-6, 6)
        numbers = log_numbers(low, low * 10 ** random.uniform(0.01, 9))
        assert 2 <= len(numbers) <= 8 and numbers == sorted(numbers)


def test_of_many_layers_as_many_have_numbers_as_fit():
    ax = Figure().subplots()
    places = layer_axis(ax, list(range(0, 96, 4)), 1.5)
    shown = [text.get_text() for text in ax.get_xticklabels()]
    assert shown == [str(block) for block in range(0, 96, 4)][:: len(places) // len(shown)]
    assert 5 < len(shown) < 12 and places[8] == 2


def test_names_stand_upright_where_they_do_not_fit_side_by_side():
    ax = Figure().subplots()
    assert name_axis(ax, ["relu\n2", "topk\n8"], 2.0) == 0
    assert [text.get_text() for text in ax.get_xticklabels()] == ["relu\n2", "topk\n8"]
    taller = name_axis(ax, ["a-recipe\n2", "another-recipe\n8", "a-third\n1"], 1.5)
    assert [text.get_text() for text in ax.get_xticklabels()][0] == "a-recipe, 2"
    assert {text.get_rotation() for text in ax.get_xticklabels()} == {90} and 0.5 < taller < 1.3


def test_numbers_are_written_shortly():
    found = [short(value) for value in (0, 0.05, 950, 20_000, 1.5e6, -3000)]
    assert found == ["0", "0.05", "950", "20k", "1.5M", "-3k"]


def test_an_imprecise_value_that_is_told_from_all_others_is_seen_with_its_interval():
    """0.5 ± 0.1 lies apart from eight values of 1 ± 0.005; 2 ± 1.1 does not."""
    found = rows([1.0] * 8 + [0.5], [0.005] * 8 + [0.1])
    assert span_of(found, "v") == pytest.approx((0.4, 1.005))
    found = rows([1.0] * 8 + [2.0], [0.005] * 8 + [1.1])
    assert span_of(found, "v") == pytest.approx((0.99, 1.01))
