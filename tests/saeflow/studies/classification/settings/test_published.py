"""The paper's statements beside ours."""

from __future__ import annotations

import pytest

from saeflow.studies.claims import ABSENT, OTHER, SAME
from saeflow.studies.classification.settings.published import published

TASKS = "abcd"


def _fits(**more):
    return [{"task": task, "validation_auc": 0.8, **more} for task in TASKS]


def test_saes_that_only_lose_are_as_published(one_hook):
    codes = [*_fits(auc=0.6, k=16, validation_auc=0.5), *_fits(auc=0.9, k=128, validation_auc=0.5)]
    codes[-1] = {**codes[-1], "auc": 0.7}
    # the best is 16 latents, first of equals: it wins nothing
    found = published(one_hook(_fits(auc=0.8), one=codes), bootstrap=50, seed=0)
    verdicts = found.set_index("claim")["verdict"]
    assert verdicts["gain in AUC by adding SAE probes to the choice, all examples"] == SAME
    assert verdicts["gain in AUC by adding SAE probes to the choice, few examples"] == ABSENT
    for won_by, ours, verdict in (("16", 0, SAME), ("128", 0.75, SAME), ("the best", 0, OTHER)):
        row = found[found["claim"].str.startswith(f"share of tasks won by {won_by}")].iloc[0]
        assert (row["ours"], row["verdict"]) == (pytest.approx(ours), verdict)


def test_saes_that_always_help_are_not(one_hook):
    codes = [{**fit, "validation_auc": 0.9} for fit in _fits(auc=1.0)]
    found = published(one_hook(_fits(auc=0.7), one=codes), bootstrap=50, seed=0)
    verdicts = found.set_index("claim")["verdict"]
    assert verdicts["gain in AUC by adding SAE probes to the choice, all examples"] == OTHER
    assert verdicts["share of tasks won by 16 latents against logistic regression"] == OTHER


def test_sizes_need_five_saes(one_hook):
    fits = {f"s{i}": _fits(auc=0.6) for i in range(3)}
    found = published(one_hook(_fits(auc=0.7), **fits))
    r = found[found["claim"].str.startswith("rank correlation")]
    assert len(r) == 2 and set(r["verdict"]) == {ABSENT}
