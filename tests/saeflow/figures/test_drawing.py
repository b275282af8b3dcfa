"""What is said of a drawing: what was left out, and what is a mean of what."""

import numpy as np
import pandas as pd
import pytest

from saeflow.errors import DataError
from saeflow.figures.curves import covered
from saeflow.figures.drawing import finite, seeds_note


def test_rows_that_cannot_be_drawn_are_left_out_and_counted():
    table = pd.DataFrame({"v": [1.0, np.nan, -1.0, np.inf, 0.0], "w": [1, 1, 1, 1, 1]})
    rows, (note,) = finite(table, ["v", "w"])
    assert rows["v"].tolist() == [1.0, -1.0, 0.0]
    assert note == "2 of 5 values are left out: not a finite number."
    rows, (note,) = finite(table, ["v"], positive=["v"])
    assert rows["v"].tolist() == [1.0]
    assert note == "4 of 5 values are left out: not a finite number above zero."
    assert finite(table[:1], ["v"])[1] == ()
    with pytest.raises(DataError, match=r"nothing to draw.*\n?.*finite number"):
        finite(table[1:2], ["v"])


def test_means_are_spoken_of_where_there_are_several_seeds():
    words = {"mean": "Bars are", "one": "One each.", "several": "dots are seeds."}
    assert seeds_note([1, 1], **words) == "One each."
    assert seeds_note([3, 3], **words) == "Bars are means over 3 seeds; dots are seeds."
    assert seeds_note([1, 3], **words) == "Bars are means over 1 to 3 seeds; dots are seeds."


def test_a_line_under_another_one_is_known():
    x = pd.Series([1.0, 2.0, 3.0])
    fixed, falling = pd.Series([32.0] * 3), pd.Series([64.0, 48.0, 32.0])
    curves = [("topk", x, fixed), ("batchtopk", x, fixed + 0.05), ("relu", x, falling)]
    assert covered(curves) == [1, 0, 0]
    # seeds of one recipe have one colour
    assert covered([("topk", x, fixed), ("topk", x, fixed)]) == [0, 0]
