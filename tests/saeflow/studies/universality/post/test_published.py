"""The post's numbers beside those of SAEs of which the answer is known."""

import numpy as np
import pandas as pd
import pytest

import made_up_pairs as made
from saeflow.studies.claims import ABSENT, BUG, OTHER, SAME
from saeflow.studies.universality.pairs import tables
from saeflow.studies.universality.post import numbers
from saeflow.studies.universality.post import published as module
from saeflow.studies.universality.post.published import published
from saeflow.studies.universality.post.singles import snapshots
from saeflow.tables.runs import LOG, Key, Record, Run

METRICS = ("mean_max", "perplexity", "perplexity_sae")
ON = {"eval_dataset": "world", "eval_packing": "sae-256"}


def pair(differ, first=None, second=None, comparison="any", **numbers_):
    """Return both directions of one pair as the table of similarities has them."""
    base = {"step": np.nan, "dataset": "d", "packing": "p", "baseline": "", "order": 0, "part": ""}
    sae = {
        "model": "m70", "hook": "mlp_out.0", "site": "mlp_out", "block": 0, "sae": "a", "seed": 0,
        "architecture": "relu", "d_in": 512, "expansion": 4.0,
    }  # fmt: skip
    own = {"first": {**base, **sae, **(first or {})}, "second": {**base, **sae, **(second or {})}}
    columns = {f"{side}_{name}": v for side, row in own.items() for name, v in row.items()}
    values = dict.fromkeys(tables.NULLS, np.nan) | numbers_
    low = {"value_low": np.nan, "value_high": np.nan, "statistic": "mean_max"}
    about = {"comparison": comparison, "differ": differ, **columns, **low, "n_first": 1}
    both = values.pop("value")
    back = values.pop("back", both)
    return [
        {**about, "direction": direction, "value": value, **values}
        for direction, value in ((tables.FORWARD, both), (tables.BACKWARD, back))
    ]


def claims(monkeypatch, *pairs, runs=(), hubs=None):
    """Return the table by claim, of such pairs."""
    rows = pd.DataFrame([row for own in pairs for row in own])
    monkeypatch.setattr(module, "similarities", lambda *_, **__: rows)
    hubs = (
        {"m70": numbers.SMALLEST, "m70d": f"{numbers.SMALLEST}-deduped"} if hubs is None else hubs
    )
    table = published(runs, pairs=[], hubs=hubs, metrics=METRICS)
    assert not table["claim"].duplicated().any()
    return table.set_index("claim")


RATIOS = [
    pair("expansion", {"sae": "a", "expansion": 4.0}, {"sae": "b", "expansion": 8.0},
         quantity="cosine", value=0.87, back=0.5, null_gaussian=0.16, null_uniform=0.08),
    pair("expansion", {"sae": "b", "expansion": 8.0}, {"sae": "c", "expansion": 16.0},
         quantity="cosine", value=0.7, back=0.5, null_gaussian=0.18, null_uniform=0.08),
]  # fmt: skip


def test_a_number_stands_beside_that_of_the_posts_models(monkeypatch):
    found = claims(monkeypatch, *RATIOS)
    for small, ours, verdict in ((4, 0.87, SAME), (8, 0.7, OTHER)):
        row = found.loc[f"MCS of features of 1:{small} in 1:{2 * small}"]
        assert (row["ours"], row["published"], row["verdict"]) == (ours, 0.87, verdict)
        assert row["n_saes"] == 1
    chance = found.loc["MCS of random directions"]
    assert (chance["ours"], chance["verdict"]) == (pytest.approx(0.17), SAME)
    assert (chance["lowest"], chance["highest"], chance["n_saes"]) == (0.16, 0.18, 3)
    uniform = found.loc["MCS of random directions of positive entries, as in the code"]
    assert (uniform["ours"], uniform["verdict"], uniform["comparable"]) == (0.08, OTHER, BUG)
    most = found.loc["MCS of random directions, the largest"]
    assert (most["ours"], most["verdict"]) == (0.18, SAME)
    gap = found.loc["MCS of random directions, as in the code - corrected"]
    assert (gap["ours"], gap["verdict"]) == (pytest.approx(-0.09), SAME)


def test_numbers_of_other_models_are_not_made_and_signs_are(monkeypatch):
    found = claims(monkeypatch, *RATIOS, hubs={})
    made_ = found[found["verdict"] != ABSENT]
    assert made_.index.tolist() == ["MCS of random directions, as in the code - corrected"]
    assert found.loc["MCS of features of 1:4 in 1:8", "published"] == 0.87


def test_slips_are_told_by_saes_that_share_nothing(monkeypatch):
    nulls = [
        pair("hook", second={"hook": "mlp_out.3"}, comparison="another layer",
             quantity=quantity, value=value)
        for quantity, value in (("correlation", 0.1), ("uncentred", 0.45))
    ]  # fmt: skip
    found = claims(monkeypatch, *nulls)
    name = "correlation of SAEs that should share nothing"
    rows = found.loc[[f"{name}, as in the code", f"{name}, corrected"]]
    assert rows["ours"].tolist() == pytest.approx([0.45, 0.1])
    assert rows["verdict"].tolist() == [SAME, OTHER] and set(rows["comparable"]) == {BUG}
    gap = found.loc["correlation as in the code - corrected, of SAEs that should share nothing"]
    assert (gap["ours"], gap["verdict"]) == (pytest.approx(0.35), SAME)


def test_two_trainings_of_one_size_are_told_by_the_width_of_their_hooks(monkeypatch):
    def of(block, value, width=512):
        at = {"hook": f"mlp_out.{block}", "block": block}
        return pair("model", at, {**at, "model": "m70d", "d_in": width}, quantity="cosine",
                    value=value, null_gaussian=0.15)  # fmt: skip

    found = claims(monkeypatch, of(0, 0.45), of(1, 0.2))
    name = "MCS of two trainings of one model"
    assert found.loc[f"{name}, first layer", "ours"] == pytest.approx(0.45)
    least = found.loc[f"{name}, the least of all layers"]
    assert (least["ours"], least["verdict"]) == (0.2, SAME)
    gap = found.loc[f"{name} - that of random directions"]
    assert (gap["ours"], gap["lowest"], gap["verdict"]) == pytest.approx((0.175, 0.05, SAME))
    other = claims(monkeypatch, of(0, 0.45, width=768))
    assert other.loc[f"{name}, first layer", "verdict"] == ABSENT


def test_saes_as_wide_as_their_input_and_distances_of_models(monkeypatch):
    ratios = [
        pair("expansion", {"sae": f"x{r}", "expansion": float(r)}, {"sae": "w", "expansion": 8.0},
             quantity="correlation", value=value, back=0.2)
        for r, value in ((1, 0.3), (2, 0.5), (4, 0.7))
    ]  # fmt: skip
    found = claims(monkeypatch, *ratios, hubs={})
    row = found.loc["correlation of small in large, ratio 1:1 - others"]
    assert (row["ours"], row["verdict"], row["n_saes"]) == (pytest.approx(-0.3), SAME, 1)
    row = found.loc["correlation of large in small, ratio 1:1 - others"]
    assert (row["ours"], row["verdict"]) == (pytest.approx(0.0), OTHER)
    widths = {"a": 512, "b": 768, "c": 1024}
    near = [
        pair("model", {"model": x, "d_in": widths[x]}, {"model": y, "d_in": widths[y]},
             quantity="correlation", value=value)
        for x, y, value in (("a", "b", 0.5), ("b", "c", 0.6), ("a", "c", 0.3))
    ]  # fmt: skip
    name = "correlation, its rank correlation with the distance of the models' widths"
    assert claims(monkeypatch, *near, hubs={}).loc[name, ["ours", "verdict"]].tolist() == [-1, SAME]
    assert claims(monkeypatch, *near[:2], hubs={}).loc[name, "verdict"] == ABSENT


def trained(block, l0, mse, *, l1=8e-4, tokens=67_000_000):
    log = pd.DataFrame({"tokens": [1_000_000, tokens], "l0": [1.0, l0], "mse": [1.0, mse]})
    facts = {"architecture": "relu", "d_in": 512, "d_sae": 1024, "settings": {"l1": l1}}
    key = Key("m70", "d", "p", f"mlp_out.{block}", "relu-x2", 0)
    return Run(key, {"sae": Record(facts, {LOG: log}.__getitem__)})


def test_logs_are_held_against_those_of_the_same_setup():
    hubs = {"m70": numbers.SMALLEST}
    runs = [trained(0, 24.0, 0.02), trained(1, 30.0, 0.0094), trained(2, 48.7, 0.0121, l1=8e-3)]
    runs.append(trained(3, 115.9, 0.0189, tokens=30_000_000))
    found = [row.claim for row in snapshots(runs, hubs)]
    assert [claim.published for claim in found] == [22.4, 0.0077, 37.3, 0.0094]
    assert [claim.ours for claim in found] == [24.0, 0.02, 30.0, 0.0094]
    assert [claim.verdict for claim in found] == [SAME, OTHER, OTHER, SAME]  # 7, 160, -20, 0 %
    assert not list(snapshots(runs, {}))


def language(hook, clean, with_sae):
    own = pd.DataFrame({"document": range(4), "predictions": 1.0, "ce_clean": np.log(clean),
                        "ce_sae": np.log(with_sae)})  # fmt: skip
    record = Record({"n_tokens": 4, "n_documents": 4}, {"documents.parquet": own}.__getitem__)
    return Run(Key("m70", "d", "p", hook, "a", 0, **ON), {"language": record})


def test_perplexities_and_frequencies(monkeypatch):
    runs = [language("mlp_out.0", 25.0, 30.0), language("mlp_out.1", 25.0, 36.0)]
    found = claims(monkeypatch, *RATIOS, runs=runs)
    rows = found.loc[["perplexity, untouched", "perplexity, with an SAE"]]
    assert rows["ours"].tolist() == pytest.approx([25, 33])
    assert found.loc["perplexity, with an SAE - untouched", "ours"] == pytest.approx(8)
    codes = pd.DataFrame({"latent": range(5), "active": [150, 155, 158, 9_000, 0]})
    facts = {"d_in": 1, "d_sae": 5, "n_tokens": 10_000, "n_documents": 3, "architecture": "relu"}
    records = {"codes": Record(facts, {"latents.parquet": codes}.__getitem__),
               "sae": Record(facts, {}.__getitem__)}  # fmt: skip
    one = Run(Key("m70", "d", "p", "mlp_out.0", "a", 0, **ON), records)
    row = claims(monkeypatch, *RATIOS, runs=[one]).loc[
        "activation frequency that most features have"
    ]
    # three of them in the bin from 10^-1.85 to 10^-1.8
    assert (row["ours"], row["verdict"]) == (pytest.approx(10**-1.825), SAME)


def test_of_a_whole_study_signs_are_told():
    ratios = {"vary": ["sae"], "saes": ["relu-x1", "relu-x2", "relu-x4"]}
    study = made.study({"ratios": ratios}, nulls={"hooks": ["mlp_out.3"]})
    table = published(study.runs, **study.given, hubs={}, metrics=METRICS).set_index("claim")
    row = table.loc["MCS of small in large, ratio 1:1 - others"]
    assert row["n_saes"] == 1 and np.isfinite(row["ours"])
    assert not table["verdict"].isna().any()
