"""Lines by layer: what is drawn where, and what is said of what cannot be drawn."""

import numpy as np
import pandas as pd
import pytest

from readable import faults
from saeflow.figures.lines import Level, lines_by_layer
from saeflow.figures.style import Look

LOOKS = {"a": Look("#0072b2", "o", "first"), "b": Look("#d55e00", "D", "second", 1)}


def table(**columns):
    rows = [
        {"model": "m", "hook": f"resid_post.{block}", "site": "resid_post", "block": block,
         "sae": "s", "seed": seed, "series": series, "level": "up", "value": value + seed,
         "value_low": value + seed - 0.5, "value_high": value + seed + 0.5}
        for series, value in (("a", 2.0), ("b", 3.0))
        for block in (1, 4)
        for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**columns)


def test_a_line_goes_through_means_and_strokes_reach_over_all_seeds():
    drawing = lines_by_layer(table(), LOOKS, {"up": Level("Height", line=(1.0, "one"))})
    (ax,) = drawing.figure.axes
    first, second = ax.get_lines()[:2]
    assert first.get_ydata().tolist() == [2.5, 2.5] and second.get_ydata().tolist() == [3.5, 3.5]
    strokes = ax.collections[0].get_segments()
    assert [sorted(part[:, 1]) for part in strokes] == [[1.5, 3.5], [1.5, 3.5]]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "4"]
    assert np.abs(first.get_xdata() - [0, 1]).max() < 0.2
    named = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert named == ["first", "second", "one"]
    assert faults(drawing.figure) == []


def test_levels_stand_below_one_another_and_a_logarithmic_one_leaves_out_zero():
    two = table()
    two.loc[two["series"] == "b", "level"] = "down"
    two.loc[two.index[-1], ["value", "value_low", "value_high"]] = 0.0
    levels = {"up": Level("Height"), "down": Level("Depth", log=True)}
    drawing = lines_by_layer(two, LOOKS, levels)
    above, below = drawing.figure.axes
    assert (above.get_ylabel(), below.get_ylabel()) == ("Height", "Depth")
    assert (above.get_yscale(), below.get_yscale()) == ("linear", "log")
    assert len(drawing.rows) == len(two) - 1
    assert "1 of 4 values is left out: not a finite number above zero." in drawing.notes


@pytest.mark.parametrize("missing", ["value_low", "value_high"])
def test_without_intervals_there_are_no_strokes(missing):
    drawing = lines_by_layer(table(**{missing: np.nan}), LOOKS, {"up": Level("Height")})
    lengths = [np.ptp(part[:, 1]) for part in drawing.figure.axes[0].collections[0].get_segments()]
    assert max(lengths) < 2  # seeds alone, and the other end
