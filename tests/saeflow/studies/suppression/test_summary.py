"""The paragraph of what was found, from tables of known numbers."""

import pytest

from made_up_latents import family
from made_up_study import table
from saeflow.studies.suppression import STUDY
from saeflow.studies.suppression.summary import summary


@pytest.fixture(scope="module")
def tables():
    runs = family(l0=5.0) + family(sae="topk", architecture="topk", bias=1.0, l0=5.0)
    return {
        name: table(STUDY, name, runs)
        for name in STUDY.tables
        if name
        not in ("probes", "probe_change", "metrics", "frontier", "theory", "training_curves")
    }


def test_what_is_suppressed_is_named_beside_the_others(tables):
    text = summary(tables)
    assert "Most is suppressed in relu SAEs: their L2 ratio is 0.8 [0.8, 0.8]" in text
    assert "that of the others (topk, 1 SAEs) is 1.0000 to 1.0000." in text


def test_the_best_of_the_methods_that_keep_l0_is_told_with_what_it_is_worth(tables):
    text = summary(tables)
    assert "decoder-exact removes most of the squared error: 0.25 on average" in text
    # of losses 2 and 1.4 nats, of a model with 1
    assert "loss changes by -0.6 on average" in text
    assert "L0 is changed" not in text


def test_methods_that_move_l0_are_no_cure_and_are_named(tables):
    kept = tables["kept"].copy()
    kept.loc[kept["method"] == "decoder-exact", "l0_after"] *= 2
    text = summary({**tables, "kept": kept})
    assert "decoder removes most of the squared error: 0.2 on average" in text
    assert "L0 is changed by decoder-exact (2 to 2 times)." in text


def test_nothing_is_said_of_tables_that_are_missing(tables):
    assert summary({}) == ""
    only = summary({"suppression_by_architecture": tables["suppression_by_architecture"]})
    assert only.startswith("Most is suppressed") and "post" not in only
