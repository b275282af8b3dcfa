"""Descendants of features in wider SAEs, of made-up pairs whose matches are written by hand."""

import numpy as np
import pytest

from made_up_fates import changed, counted, family, widths
from made_up_pairs import study
from saeflow.studies.universality.fates.lineages import Chain, lineages
from saeflow.studies.universality.fates.widths import children


@pytest.fixture
def made():
    return changed(widths(3), family)


def test_the_parent_is_the_nearest_in_the_next_narrower_sae(made):
    table = lineages(made.runs, **made.given)
    sizes = table.groupby("sae", sort=False).size()
    assert sizes.to_dict() == {"topk-x1": 12, "topk-x2": 28, "topk-x4": 60}
    live = {name: own["latent"].tolist() for name, own in table.groupby("sae")}
    own = table[table["sae"] == "topk-x2"]
    assert (own["parent_sae"] == "topk-x1").all()
    expected = [live["topk-x1"][i // 2 % 12] for i in range(23)] + [-1] * 5
    assert own["parent"].tolist() == expected
    assert (table[table["sae"] == "topk-x4"]["parent_sae"] == "topk-x2").all()
    assert (table["family"] == "topk-x1").all()


def test_descendants_of_all_widths_are_counted_and_roots_are_known(made):
    table = lineages(made.runs, **made.given)
    narrow, middle, wide = (table[table["sae"] == f"topk-x{x}"] for x in (1, 2, 4))
    # places 0 to 22 of 28 by pairs to 12 features: 2 each but the last, which has one
    assert narrow["n_children"].tolist() == [2] * 11 + [1]
    # 0 to 54 of 60 by pairs to 28: 2 each, but the last has 54 alone
    assert middle["n_children"].tolist() == [2] * 27 + [1]
    assert narrow["n_descendants"].tolist() == [6] * 11 + [3]
    assert wide["n_descendants"].tolist() == [0] * 60
    assert (wide["root_sae"] == "topk-x1").sum() == 6 * 11 + 3 - 23
    # the first of the line of what has no parent is itself
    last = middle.iloc[-1]
    assert last["root_sae"] == "topk-x2" and last["root"] == last["latent"]
    of_new = wide[wide["parent"].isin(middle["latent"].tail(5))]
    assert (of_new["root_sae"] == "topk-x2").all()


def test_a_parent_has_to_be_near():
    def near(own, other, table, others):  # noqa: ARG001
        table["cosine"] = 0.56 if own.sae == "topk-x2" else 0.54

    made = changed(widths(3), near)
    table = lineages(made.runs, **made.given).set_index("sae")
    assert (table.loc["topk-x2", "parent"] >= 0).all()
    assert (table.loc["topk-x4", "parent"] == -1).all()


def test_what_was_counted_of_tokens_is_there_as_shares(made):
    assert lineages(made.runs, **made.given)["contained"].isna().all()
    table = lineages(counted(made).runs, **made.given).set_index("sae")
    middle = table.loc["topk-x2"]
    born = middle["parent"] >= 0
    assert middle["contained"][born].to_numpy() == pytest.approx(0.8)
    assert middle["contained"][~born].isna().all()
    np.testing.assert_allclose(middle["kept"], (middle["active"] // 2) / middle["active"])
    assert table.loc["topk-x4", "kept"].isna().all()  # there is none wider


def test_with_one_width_held_against_all_parents_are_those_that_were_compared():
    names = ["topk-x1", "topk-x2", "topk-x4"]
    comparison = {"vary": ["sae"], "saes": names, "against": "topk-x4"}
    made = changed(study({"against": comparison}), family)
    (chain,) = Chain.all(made.runs, made.given["pairs"])
    steps = [(step.narrow.key.sae, step.wide.key.sae) for step in chain.steps]
    assert steps == [("topk-x2", "topk-x4")]
    table = lineages(made.runs, **made.given)
    assert table[table["sae"] == "topk-x2"]["cosine"].isna().all()


def test_seeds_make_chains_of_their_own():
    made = widths(2, seeds=(0, 1))
    assert len(list(Chain.all(made.runs, made.given["pairs"]))) == 2
    assert children(made.runs, **made.given)["seed"].tolist() == [0] * 6 + [1] * 6


def test_saes_that_differ_in_more_are_no_chain():
    made = study({"both": {"vary": ["sae"], "saes": ["topk-x4", "relu-x8"]}})
    assert lineages(made.runs, **made.given).empty
    assert children(made.runs, **made.given).empty
