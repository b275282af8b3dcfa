"""The post's numbers beside those of SAEs of which the answer is known."""

import numpy as np
import pandas as pd
import pytest

from made_up_positions import of_rows
from made_up_study import record
from saeflow.metrics.propagation import N_BINS, PAIRS, QUANTITIES, RATIOS, WAYS
from saeflow.studies.claims import ABSENT, OTHER, SAME
from saeflow.studies.reconstruction import PUBLISHED_METRICS, STUDY, post
from saeflow.studies.reconstruction.published import published
from saeflow.tables.runs import Key, Record, Run

N = 10


def sums(**means):
    """Return sums over ten documents of one prediction or prompt each."""
    return pd.DataFrame({"document": np.arange(N), **{k: np.full(N, v) for k, v in means.items()}})


def sae_of(hub, **facts):
    return record({"architecture": "topk", "settings": {"hub": hub} if hub else {}, **facts})


def language(block, delta, *, sae="topk", hub=None, baseline=None):
    key = Key("m", "d", "p", f"resid_pre.{block}", sae, 0, "original", "d", "p")
    facts = {"baseline": baseline} if baseline else {}
    own = sums(predictions=1.0, ce_clean=2.0, ce_sae=2.0 + delta)
    return Run(key, {"language": record(documents=own), "sae": sae_of(hub, **facts)})


def answers(block, right, delta, *, prompts="lambada", kind="last_word", hub=None, twice=None):
    key = Key("m", "d", "p", f"resid_pre.{block}", "topk", 0, "original", prompts, "prompts")
    slips = {} if twice is None else {
        "published": 1.0, "published_ce_once": 0.0, "published_ce_twice": twice,
        "published_active": 1.0, "published_norm": 1.0,
    }  # fmt: skip
    own = sums(
        prompts=1.0, right_first_clean=0.5, right_first_sae=right,
        log_p_first_clean=-1.0, log_p_first_sae=-1.0 + delta,
        ce_tokens=1.0, ce_clean=3.0, ce_sae=3.1, **slips,
    )  # fmt: skip
    return Run(key, {"answers": record({"kind": kind}, documents=own), "sae": sae_of(hub)})


def claims(*runs):
    table = published(runs, metrics=PUBLISHED_METRICS)
    assert not table["claim"].duplicated().any()
    return table.set_index("claim")


def test_the_numbers_have_one_value_for_each_layer():
    for numbers in (post.WITHIN, post.BEYOND, post.LAMBADA, post.CBT):
        assert {len(values) for values in numbers.values()} == {12}
    for numbers in post.AS_PUBLISHED.values():
        assert {len(values) for values in numbers.values()} == {12}
    assert {len(values) for values in post.PROPAGATION.values()} == {11}
    for name, own in post.OUTCOMES.items():
        for layer, counts in own.items():
            assert sum(counts) == 1000
            right = (post.LAMBADA if name == "lambada" else post.CBT)["accuracy"][layer]
            assert counts[0] + counts[2] == pytest.approx(1000 * right)
            assert counts[0] + counts[1] == pytest.approx(1000 * post.CLEAN[name]["accuracy"])


def test_an_added_loss_that_grows_with_the_layer_is_as_published():
    found = claims(*(language(block, 0.1 * (1 + block)) for block in range(4)))
    added = found.loc["added loss within the trained context"]
    assert (added["ours"], added["lowest"], added["highest"]) == pytest.approx((0.25, 0.1, 0.4))
    assert (added["verdict"], added["n_saes"]) == (SAME, 4)
    assert added["published"] == pytest.approx(np.mean(post.WITHIN["delta_ce"]))
    trend = found.loc["added loss, rank correlation with the layer"]
    assert (trend["ours"], trend["verdict"], trend["n_saes"]) == (pytest.approx(1), SAME, 1)
    falling = claims(*(language(block, 0.4 - 0.1 * block) for block in range(4)))
    row = falling.loc["added loss, rank correlation with the layer"]
    assert (row["ours"], row["verdict"]) == (pytest.approx(-1), OTHER)


def test_two_layers_are_no_trend_and_baselines_do_not_count():
    runs = [language(0, 0.1), language(1, 0.2)]
    runs += [language(block, 9.0, sae="pca", baseline="pca") for block in range(4)]
    found = claims(*runs)
    assert found.loc["added loss, rank correlation with the layer", "verdict"] == ABSENT
    assert found.loc["added loss within the trained context", "highest"] == pytest.approx(0.2)


def test_claims_whose_measure_is_not_there_are_left_out():
    names = set(claims(language(0, 0.1)).index)
    assert not any(word in name for name in names for word in ("lambada", "cbt", "beyond", "later"))
    only = claims(*(answers(block, 0.4, -0.1) for block in range(3)))
    assert not any("added loss" in name for name in only.index)


def test_answers_of_the_first_layer_and_over_layers():
    good = claims(*(answers(b, 0.48 - 0.1 * b, -0.1 * b) for b in range(4)))
    first = good.loc["lambada: accuracy with / without the first layer's SAE"]
    assert (first["ours"], first["verdict"]) == (pytest.approx(0.96), SAME)
    assert first["published"] == pytest.approx(0.256 / 0.266)
    for words in ("accuracy", "change of ln p(answer)"):
        row = good.loc[f"lambada: {words}, rank correlation with the layer"]
        assert (row["ours"], row["verdict"]) == (pytest.approx(-1), SAME)
    lost = good.loc["lambada: accuracy with the SAE - without"]
    assert (lost["ours"], lost["verdict"]) == (pytest.approx(0.48 - 0.15 - 0.5), SAME)
    bad = claims(*(answers(b, 0.2 + 0.1 * b, 0.1 * b) for b in range(4)))
    assert bad.loc["lambada: accuracy with / without the first layer's SAE", "verdict"] == OTHER
    assert bad.loc["lambada: accuracy, rank correlation with the layer", "verdict"] == OTHER
    cloze = [answers(b, 0.1 * b, 0.1 * b, prompts="c", kind="cloze") for b in range(4)]
    assert claims(*cloze).loc["cbt: accuracy, rank correlation with the layer", "verdict"] == SAME


def test_what_the_published_code_computed_is_held_against_what_it_says():
    name = "lambada: added loss as published - corrected"
    assert name not in claims(answers(0, 0.4, -0.1)).index  # not measured
    row = claims(answers(0, 0.4, -0.1, twice=0.3)).loc[name]
    assert (row["ours"], row["verdict"], row["comparable"]) == (pytest.approx(0.2), SAME, "bug")
    assert claims(answers(0, 0.4, -0.1, twice=0.1)).loc[name, "verdict"] == OTHER


def test_the_posts_own_saes_are_held_against_each_number():
    theirs = post.HUBS[0]
    right = post.LAMBADA["accuracy"]
    runs = [answers(b, right[b], post.LAMBADA["delta_logp"][b], hub=theirs) for b in range(12)]
    found = claims(*runs)
    for layer in range(12):
        row = found.loc[f"lambada: accuracy, layer {layer}"]
        assert (row["ours"], row["published"]) == pytest.approx((right[layer], right[layer]))
        assert row["verdict"] == SAME and row["comparable"] == "yes"
        assert found.loc[f"lambada: delta_logp, layer {layer}", "verdict"] == SAME
    assert found.loc["lambada: ce, layer 0", "verdict"] == OTHER  # ours is 3.1
    others = claims(*(answers(b, right[b], -1.0) for b in range(12)))
    assert not any(name.endswith("layer 3") for name in others.index)


def test_the_table_is_one_of_the_study():
    entry = STUDY.tables["published"]
    assert entry.build == "saeflow.studies.reconstruction.published:published"
    assert set(entry.also) == {"positions", "answers", "propagation"}


def positions(block=0, *, context=2, hub=None, growth=1.0):
    """Return an SAE on one document: BOS, one token within two positions, and two beyond."""
    rows = [
        ("held_out", True, 7, 0, 0, (1, 99, 9.0, 9.0, 9.0, 9.0, 1, 5.0, 5.0)),
        ("held_out", False, 7, 1, 1, (1, 5, 9.0, 3.0, 4.0, 8.0, 1, 3.0, 3.5)),
        ("held_out", False, 7, 2, 3, (2, 20, 40.0, 18.0, 8.0, 12.0, 1, 2.0, 2.5 + growth)),
    ]
    key = Key("m", "d", "short", f"resid_pre.{block}", "topk", 0, "original", "d", "long")
    return Run(key, {"positions": of_rows(rows, context=context), "sae": sae_of(hub)})


def test_what_grows_beyond_the_trained_context_is_as_published():
    found = claims(*(positions(block, growth=3.0 - block) for block in range(3)))
    for words, ours in (("L0", 2.0), ("squared error", 3.0)):
        row = found.loc[f"{words}, beyond / within the trained context"]
        assert (row["ours"], row["verdict"], row["n_saes"]) == (pytest.approx(ours), SAME, 3)
    row = found.loc["added loss, beyond - within the trained context"]
    assert (row["ours"], row["verdict"]) == (pytest.approx(2.0), SAME)
    row = found.loc["added loss beyond the trained context, rank correlation with the layer"]
    assert (row["ours"], row["verdict"]) == (pytest.approx(-1), SAME)
    shrinking = claims(*(positions(block, growth=-0.5) for block in range(3)))
    row = shrinking.loc["added loss, beyond - within the trained context"]
    assert (row["ours"], row["verdict"]) == (pytest.approx(-0.5), OTHER)


def test_saes_that_were_trained_on_the_whole_context_do_not_count():
    found = claims(positions(0), positions(1, context=4))
    assert found.loc["L0, beyond / within the trained context", "n_saes"] == 1


def test_the_posts_own_saes_are_held_against_its_numbers_by_position():
    found = claims(positions(0, hub=post.HUBS[0]))
    row = found.loc["l0, positions 2-128, layer 0"]
    assert (row["ours"], row["published"]) == (pytest.approx(25 / 3), 13.0)
    assert row["verdict"] == OTHER
    assert found.loc["squared_error, positions 2-128, layer 0", "ours"] == pytest.approx(7)
    assert found.loc["delta_ce, positions 2-128, layer 0", "ours"] == pytest.approx((0.5 + 1.5) / 2)
    assert not any("from 129" in name for name in found.index)  # these are of 4 tokens
    assert found.loc["l0, positions 2-128, layer 1", "verdict"] == ABSENT


def propagated(factor, *, hub=None):
    """Return the SAE of layer 0 with one after it, whose quantities it multiplies."""
    columns = {"document": np.arange(4), "tokens": 2.0, "at_index": 1.0}
    for name in QUANTITIES:
        columns |= {
            name: 4.0, f"{name}_compared": 2.0, f"{name}_inverse": 4 / 3, f"{name}_inverted": 2.0,
            f"{name}_at_index": factor,
        }  # fmt: skip
        for way, own in zip(WAYS, (factor, 1.0), strict=True):
            columns |= {f"{name}_{way}": 4.0 * own, f"{name}_{way}_ratio": 2.0 * own}
    pairs = pd.DataFrame(columns).assign(hook="resid_pre.1", sae="topk")
    named = [(quantity, way) for quantity in QUANTITIES for way in WAYS]
    ratios = pd.DataFrame(
        [("resid_pre.1", "topk", *name, N_BINS // 2, 8) for name in named],
        columns=["hook", "sae", "quantity", "way", "bin", "tokens"],
    )
    files = {PAIRS: pairs, RATIOS: ratios}
    key = Key("m", "d", "p", "resid_pre.0", "topk", 0, "original", "d", "p")
    facts = {"n_tokens": 8, "n_documents": 4}
    return Run(key, {"propagation": Record(facts, files.__getitem__), "sae": sae_of(hub)})


def test_what_an_earlier_sae_does_to_later_ones_is_as_published_where_it_hurts():
    found = claims(propagated(2.0))
    name = "squared error of a later SAE, fractional change by an earlier one"
    assert (found.loc[name, "ours"], found.loc[name, "verdict"]) == (pytest.approx(1.0), SAME)
    assert found.loc[name, "comparable"] == "bug"
    assert claims(propagated(0.5)).loc[name, "verdict"] == OTHER
    theirs = claims(propagated(2.0, hub=post.HUBS[0]))
    row = theirs.loc["change of l0 by layer 0, as in the notebook, layer 1"]
    assert row["published"] == 0.386
