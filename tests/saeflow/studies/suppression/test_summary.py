"""The paragraph of what was found, from tables of known numbers."""

import numpy as np
import pandas as pd
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
    assert (
        "active latents of relu SAEs as they are, decoder-exact removes most of the squared error:"
        " 0.25 [0.25, 0.25]"
    ) in text
    # of losses 2 and 1.4 nats, of a model with 1
    assert "loss changes by -0.6 [-0.6, -0.6]" in text
    assert "L0 is changed" not in text


def test_each_architecture_is_told_apart(tables):
    """TopK SAEs lose a tenth of their error where ReLU SAEs lose a quarter."""
    reduction = tables["mse_reduction"].copy()
    chosen = (reduction["sae"] == "topk") & (reduction["method"] == "decoder")
    reduction.loc[chosen, ["mse_reduction", "mse_reduction_low", "mse_reduction_high"]] = 0.9
    text = summary({**tables, "mse_reduction": reduction})
    assert "of relu SAEs as they are, decoder-exact removes most of the squared error: 0.25" in text
    assert "of topk SAEs as they are, decoder removes most of the squared error: 0.9" in text


def test_methods_that_move_l0_are_no_cure_and_are_named(tables):
    kept = tables["kept"].copy()
    kept.loc[kept["method"] == "decoder-exact", "l0_after"] *= 2
    text = summary({**tables, "kept": kept})
    assert "decoder removes most of the squared error: 0.2 [0.2, 0.2]" in text
    assert "L0 is changed by decoder-exact (2 to 2 times)." in text


def test_shares_of_what_is_hardly_there_are_told_by_median_and_quartiles(tables):
    """Five SAEs, one of which adds next to nothing: its share of it is -80."""
    names = ["relu", "a", "b", "c", "d"]
    values = [0.3, 0.1, -80.0, 0.2, 0.4]
    many = {
        name: pd.concat([frame[frame["sae"] == "relu"].assign(sae=sae) for sae in names])
        for name, frame in tables.items()
        if "sae" in frame
    }
    recovery = many["perplexity_recovery"]
    recovery["perplexity_recovery"] = recovery["sae"].map(dict(zip(names, values, strict=True)))
    assert "takes off 0.2 in the median (0.1 to 0.3 in half of them);" in summary(many)


def test_saes_that_do_not_stand_beside_the_posts_are_told(tables):
    text = summary(tables)
    assert "stand 1 SAEs with its loss; 1 are left out: there is no penalty (1)." in text
    none = tables["published"].assign(n_excluded=0)
    assert "left out" not in summary({**tables, "published": none})


def test_baselines_are_not_those_of_which_most_is_suppressed(tables):
    table = tables["suppression_by_architecture"]
    worst = table[table["sae"] == "relu"].assign(
        sae="pca", architecture="pca", baseline="pca", reconstruction_bias=0.1
    )
    both = pd.concat([table.assign(baseline=np.nan), worst])  # as read from a file
    assert "Most is suppressed in relu SAEs" in summary({"suppression_by_architecture": both})


def test_nothing_is_said_of_tables_that_are_missing(tables):
    assert summary({}) == ""
    only = summary({"suppression_by_architecture": tables["suppression_by_architecture"]})
    assert only.startswith("Most is suppressed") and "post" not in only
