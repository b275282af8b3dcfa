"""Histograms of similarities over features."""

import numpy as np
import pytest

import made_up_pairs as made_up
from saeflow.studies.universality.pairs.distributions import EDGES, MATCHES, distributions
from saeflow.studies.universality.pairs.tables import BACKWARD, FORWARD

STUDY = made_up.study({"seeds": {"vary": ["seed"], "seeds": [0, 1]}})


def test_every_live_feature_is_counted_once_and_those_that_are_shared_are_a_hump_apart():
    table = distributions(STUDY.runs, **STUDY.given)
    seeds = table[(table["comparison"] == "seeds") & (table["direction"] == FORWARD)]
    counts = seeds.groupby(["quantity", "what"])["n_features"].sum()
    assert counts.to_dict() == {
        ("cosine", MATCHES): 60, ("cosine", "null_gaussian"): 60, ("cosine", "null_columns"): 60,
        ("encoder", MATCHES): 60, ("encoder", "null_gaussian"): 60,
        ("encoder", "null_columns"): 60, ("correlation", MATCHES): 60,
        ("correlation", "null_tokens"): 60,
    }  # fmt: skip
    own = seeds[(seeds["quantity"] == "correlation") & (seeds["what"] == MATCHES)]
    assert own.loc[own["low"] > 0.8, "n_features"].sum() == 30
    assert own.loc[own["high"] < 0.2, "n_features"].sum() == 30
    assert own["mean"].unique() == [pytest.approx((0.93 + 0.1) / 2)]
    assert (own["n_features"] > 0).all() and set(table["direction"]) == {FORWARD, BACKWARD}


def test_what_lies_beyond_the_bins_is_in_the_last_ones():
    values = np.array([-0.3, 0.0, 0.011, 0.999, 1.0000001])

    def beyond(name, table):  # noqa: ARG001
        return table.head(5).assign(cosine=values) if "cosine" in table else table

    runs = [made_up.reread(run, beyond) for run in STUDY.runs]
    table = distributions(runs, **STUDY.given)
    own = table[(table["comparison"] == "seeds") & (table["direction"] == FORWARD)]
    own = own[(own["quantity"] == "cosine") & (own["what"] == MATCHES)]
    assert own[["low", "n_features"]].to_numpy().tolist() == [[EDGES[0], 3], [EDGES[-2], 2]]


def test_without_pairs_it_is_empty():
    assert distributions(STUDY.runs, pairs=[]).empty
