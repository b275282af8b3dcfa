"""The table of the theory, and the regression under it, on numbers made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from saeflow.files import write_json
from saeflow.tables.files import read_csv, write_csv
from saeflow.tables.making import make_table
from saeflow.tables.regression import slope
from saeflow.tables.suppression import theory


def toys():
    """Features of strength 2 and 5 and one that dies, at c d / 2 = 0.5, 1 and 1.5."""
    rows = [
        {"experiment": "apart", "trained": "encoder", "c": c, "d": 10, "p": 0.1, "g": g,
         "overlap": 0.0, "noise": 0.0, "quantity": "activation",
         "predicted": max(0.0, g - 5 * c), "simulated": max(0.0, g - 5 * c)}
        for c in (0.1, 0.2, 0.3) for g in (0.4, 2.0, 5.0)
    ]  # fmt: skip
    rows.append({**rows[0], "experiment": "noise", "quantity": "scale", "simulated": 7.0})
    return pd.DataFrame(rows)


def test_the_shift_is_regressed_on_half_c_d_over_the_features_that_live():
    table = theory.build(toys())
    sweep = table[table["experiment"] == theory.SWEEP]
    assert len(table) == 10 + 6 == 10 + len(sweep) and set(sweep["g"]) == {2.0, 5.0}
    np.testing.assert_allclose(sweep["half_cd"], 5 * sweep["c"])
    np.testing.assert_allclose(sweep["simulated"], sweep["half_cd"])
    np.testing.assert_allclose(sweep["predicted"], sweep["half_cd"])
    np.testing.assert_allclose(sweep[["slope", "slope_low", "slope_high"]], 1.0)
    assert table.loc[table["experiment"] != theory.SWEEP, "slope"].isna().all()


def test_each_frequency_has_a_slope_of_its_own():
    twice = toys().assign(p=0.3)
    twice["simulated"] = twice["g"] - 2 * (twice["g"] - twice["simulated"])
    table = theory.build(pd.concat([toys(), twice], ignore_index=True))
    assert table.groupby("p")["slope"].first().to_dict() == pytest.approx({0.1: 1.0, 0.3: 2.0})


def test_one_coefficient_has_no_slope():
    table = theory.build(toys()[lambda t: t["c"] == 0.1])
    assert table["slope"].isna().all()


def test_the_table_is_made_from_the_simulations_record(tmp_path):
    record = tmp_path / "suppression.json"
    write_json(record, {})
    write_csv(toys(), record.with_suffix(".csv"))
    output = tmp_path / "theory.csv"
    made = make_table(
        "suppression", "theory", {"simulation": [record]}, output, {"table": "theory"}
    )
    assert made["n_rows"] == 16 == len(read_csv(output))


def test_a_slope_and_its_interval_by_hand():
    """Of 0, 2, 1, 3 on 0, 1, 2, 3: Sxy = 4, Sxx = 5, residuals -.3, .9, -.9, .3."""
    found = slope(np.arange(4.0), np.array([0.0, 2.0, 1.0, 3.0]))
    error = np.sqrt(1.8 / 2 / 5)
    assert found == pytest.approx((0.8, 0.8 - 1.959964 * error, 0.8 + 1.959964 * error), rel=1e-6)


def test_a_slope_needs_two_different_places_and_its_interval_a_third_case():
    assert slope(np.ones(3), np.arange(3.0)) == (None, None, None)
    assert slope(np.array([0.0, 2.0]), np.array([1.0, 2.0])) == (0.5, None, None)
