"""Numbers of facts from sums by hand."""

import pytest

from measured import formed
from saeflow.metrics.facts import COLUMNS

SUMS = {
    "positive": 10, "best_fired": 8, "best_hits": 6, "active_fired": 30, "active_hits": 10,
    "union_fired": 10, "union_hits": 9, "probe_fired": 12, "probe_hits": 8, "absorbed": 2,
}  # fmt: skip


def test_numbers_are_those_by_hand():
    assert set(SUMS) == set(COLUMNS)
    assert formed("facts", SUMS) == pytest.approx(
        {
            "fact_f1": 2 * 0.75 * 0.6 / (0.75 + 0.6),  # of precision 6/8 and recall 6/10
            "fact_f1_active": 0.5,  # precision 1/3, recall 1
            "fact_f1_union": 0.9,
            "fact_f1_probe": 8 / 11,  # precision 2/3, recall 4/5
            "fact_absorption": 0.25,
        }
    )


def test_a_detector_that_never_hits_has_none_and_one_that_is_right_all():
    found = formed("facts", {**SUMS, "best_hits": 0, "union_fired": 10, "union_hits": 10})
    assert found["fact_f1"] == 0 and found["fact_f1_union"] == 1
