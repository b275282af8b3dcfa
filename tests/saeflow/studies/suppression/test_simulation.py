"""The experiments as a whole, small; and, slowly, those of the default settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from saeflow.studies.suppression import simulation, toys
from saeflow.studies.suppression.section import Theory
from saeflow.studies.suppression.simulation import COLUMNS, simulate

SMALL = {
    "d": 8, "c": [0.1, 0.05], "g": [0.3, 1.0, 2.0], "p": [0.2], "overlap": [0.0, 0.3],
    "noise": [0.0, 0.5], "seed": 0,
}  # fmt: skip


@pytest.fixture
def short(monkeypatch):
    """Toys that are trained for less long, on fewer tokens."""
    monkeypatch.setattr(toys, "N_STEPS", 300)
    monkeypatch.setattr(simulation, "N_TOKENS", 200)


def agrees(table, rtol=0.02):
    alive = table[table["predicted"] > 1e-6]  # what a solver's zero is
    np.testing.assert_allclose(alive["simulated"], alive["predicted"], rtol=rtol)
    dead = table[table["predicted"] <= 1e-6]
    np.testing.assert_allclose(dead["simulated"], 0, atol=0.02)
    return len(alive), len(dead)


def test_every_experiment_is_there_and_agrees_with_the_theory(short):
    table = simulate(SMALL)
    assert list(table.columns) == list(COLUMNS)
    counts = table.groupby(["experiment", "trained"]).size().to_dict()
    assert counts == {
        ("apart", "encoder"): 6,
        ("apart", "encoder and b_dec"): 6,
        ("apart", "everything"): 6,
        ("interfering", "sizes"): 6,
        ("interfering", "encoder"): 6,
        ("noise", "encoder"): 4,  # of the two that live
    }
    exact = table[table["trained"] != "everything"]
    assert agrees(exact[exact["experiment"] == "apart"]) == (10, 2)
    assert agrees(exact[exact["trained"] == "sizes"])[0] == 4
    # c d / 2 = 0.4 of the larger c: scales 1 / 0.6 and 2 / 1.6, and 1 / 1.25 of each with noise
    noisy = table[table["experiment"] == "noise"].set_index(["noise", "g"])
    expected = {
        (0.0, 1.0): 1 / 0.6, (0.0, 2.0): 1.25, (0.5, 1.0): 0.8 / 0.6, (0.5, 2.0): 1.0,
    }  # fmt: skip
    assert noisy["predicted"].to_dict() == pytest.approx(expected)
    assert noisy["simulated"].to_dict() == pytest.approx(expected, rel=0.03)
    assert set(table.loc[table["experiment"] != "apart", "c"]) == {0.1}


def test_the_same_settings_give_the_same_numbers(short):
    pd.testing.assert_frame_equal(simulate(SMALL), simulate(SMALL), check_exact=True)


@pytest.mark.slow
def test_the_default_toys_agree_with_the_theory_within_two_percent():
    table = simulate(Theory().model_dump())
    exact = table[~((table["experiment"] == "interfering") & (table["trained"] == "encoder"))]
    agrees(exact[exact["trained"] != "everything"])
