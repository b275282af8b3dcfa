"""The table of how often SAE probes win."""

from __future__ import annotations

import pytest

import made_up_probes
from saeflow.studies.classification.settings.wins import wins

STATES = [
    *({"task": task, "auc": 0.8, "validation_auc": 0.8} for task in "abcd"),
    {"task": "a", "auc": 0.9, "validation_auc": 0.9, "method": "pca"},
]


def _of(table, probe, opponent):
    return made_up_probes.row(table, probe=probe, opponent=opponent)


def test_a_tie_is_half_a_win(one_hook):
    codes = [
        {"task": task, "auc": auc} for task, auc in zip("abcd", (0.85, 0.8, 0.7, 0.95), strict=True)
    ]
    table = wins(one_hook(STATES, one=codes))
    found = _of(table, "k = 16", "logistic")
    assert found["won"] == pytest.approx(2.5 / 4)
    assert found["gain"] == pytest.approx((0.05 + 0 - 0.1 + 0.15) / 4)
    # in a the best baseline is that which validates best
    found = _of(table, "k = 16", "best baseline")
    assert found["won"] == pytest.approx(1.5 / 4)
    assert (found["d_sae"], found["l0"], found["n_tasks"]) == (128, 20, 4)


def test_each_number_of_latents_has_its_row_and_the_best_is_by_validation(one_hook):
    codes = [
        {"task": "a", "auc": 0.7, "k": 1, "validation_auc": 0.9},
        {"task": "a", "auc": 0.95, "k": 4, "validation_auc": 0.6},
        {"task": "a", "auc": 0.6, "k": 0, "method": "logistic", "validation_auc": 0.5},
    ]
    table = wins(one_hook(STATES, one=codes))
    assert set(table["probe"]) == {"k = 1", "k = 4", "all latents", "best SAE probe"}
    assert _of(table, "best SAE probe", "logistic")["gain"] == pytest.approx(-0.1)
    assert _of(table, "k = 4", "best baseline")["won"] == 1


def test_intervals_of_shares_stay_between_none_and_all(one_hook):
    codes = [{"task": task, "auc": 0.8} for task in "abcd"]
    found = wins(one_hook(STATES, one=codes), bootstrap=300, seed=0)
    assert ((found["won_low"] >= 0) & (found["won_high"] <= 1)).all()
    # the same scores on the same texts: no difference in three of four tasks, whatever is drawn
    row = _of(found, "k = 16", "logistic")
    assert (row["won"], row["won_low"], row["won_high"]) == (0.5, 0.5, 0.5)
