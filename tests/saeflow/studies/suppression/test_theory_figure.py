"""The figure of the theory, by what its artists hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from saeflow.studies.suppression.theory import theory
from saeflow.studies.suppression.theory_figure import theory as draw

D = 10


def row(experiment, trained, **values):
    common = {
        "c": 0.2, "d": D, "p": 0.2, "g": 3.0, "overlap": 0.0, "noise": 0.0,
        "quantity": "activation", "predicted": 2.0, "simulated": 2.0,
    }  # fmt: skip
    return {"experiment": experiment, "trained": trained, **common, **values}


@pytest.fixture(scope="module")
def axes():
    rows = [
        row("apart", trained, c=c, g=g, predicted=g - taken * c, simulated=g - taken * c)
        for trained, taken in (("encoder", 5), ("encoder and b_dec", 6.25), ("everything", 7))
        for c in (0.1, 0.2)
        for g in (2.0, 4.0)
    ]
    rows += [
        row("interfering", t, overlap=o, predicted=1.0 + o, simulated=y)
        for o in (0.0, 0.5)
        for t, y in (("sizes", 1.0 + o), ("encoder", 0.9))
    ]
    rows += [row("noise", "encoder", noise=n, simulated=1.5 - n) for n in (0.0, 0.5)]
    figure = draw(theory(pd.DataFrame(rows))).figure
    return {ax.get_title(loc="left"): ax for ax in figure.axes}


def points(ax):
    """Return the points of each series with a name."""
    lines = [line for line in ax.lines if not line.get_label().startswith("_")]
    return {line.get_label(): line.get_xydata().tolist() for line in lines}


def curves(ax):
    return [line for line in ax.lines if line.get_label().startswith("_child")]


def test_strengths_are_those_of_the_largest_coefficient_beside_their_line(axes):
    found = points(axes["Strength"])
    assert found["encoder trained"] == [[2.0, 1.0], [4.0, 3.0]]
    assert found["and b_dec, p = 0.2"] == [[2.0, 0.75], [4.0, 2.75]]
    np.testing.assert_allclose(found["everything trained"], [[2.0, 0.6], [4.0, 2.6]])
    for curve, taken in zip(curves(axes["Strength"]), (1.0, 1.25), strict=False):
        g, a = curve.get_xydata().T
        np.testing.assert_allclose(a, np.maximum(g - taken, 0), atol=1e-12)


def test_interference_shows_sizes_by_cosine_and_hollow_encoders(axes):
    found = points(axes["Interference"])
    assert found["cosine 0"] == [[1.0, 1.0]] and found["cosine 0.5"] == [[1.5, 1.5]]
    hollow = [line for line in axes["Interference"].lines if line.get_markerfacecolor() == "none"]
    assert [line.get_ydata().tolist() for line in hollow[:2]] == [[0.9], [0.9]]


def test_the_legend_of_the_coefficient_has_the_slopes(axes):
    found = points(axes["Coefficient"])
    assert {"encoder trained: slope 1.000", "and b_dec, p = 0.2: slope 1.250"} < set(found)
    np.testing.assert_allclose(
        found["encoder trained: slope 1.000"], [[0.5, 0.5], [0.5, 0.5], [1.0, 1.0], [1.0, 1.0]]
    )
    ends = [curve.get_xydata()[-1].tolist() for curve in curves(axes["Coefficient"])]
    assert ends == [[1.0, 1.0], [1.0, pytest.approx(1.25)]]


def test_the_fitted_scale_falls_with_noise_along_the_dilution(axes):
    ax = axes["Noise"]
    assert points(ax)["strength 3"] == [[0.0, 1.5], [0.5, 1.0]]
    noise, scale = curves(ax)[0].get_xydata().T
    np.testing.assert_allclose(scale, 1.5 / (1 + noise**2))
