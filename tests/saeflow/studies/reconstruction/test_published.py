"""The post's numbers beside those of SAEs of which the answer is known."""

import numpy as np
import pandas as pd
import pytest

from made_up_study import record
from saeflow.studies.claims import ABSENT, OTHER, SAME
from saeflow.studies.reconstruction import PUBLISHED_METRICS, STUDY, post
from saeflow.studies.reconstruction.published import published
from saeflow.tables.runs import Key, Run

N = 10


def sums(**means):
    """Return sums over ten documents of one prediction or prompt each."""
    return pd.DataFrame({"document": np.arange(N), **{k: np.full(N, v) for k, v in means.items()}})


def language(block, delta, *, sae="topk", hub=None, baseline=None):
    key = Key("m", "d", "p", f"resid_pre.{block}", sae, 0, "original", "d", "p")
    facts = {"architecture": "topk", "settings": {"hub": hub} if hub else {}}
    facts |= {"baseline": baseline} if baseline else {}
    own = sums(predictions=1.0, ce_clean=2.0, ce_sae=2.0 + delta)
    return Run(key, {"language": record(documents=own), "sae": record(facts)})


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
    facts = {"architecture": "topk", "settings": {"hub": hub} if hub else {}}
    return Run(key, {"answers": record({"kind": kind}, documents=own), "sae": record(facts)})


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
