"""What is said of pairs in words."""

import made_up_pairs as made_up
from saeflow.studies.universality.pairs import tables
from saeflow.studies.universality.pairs.seeds import over_seeds
from saeflow.studies.universality.summary import summary

METRICS = ("mean_max", "above_07")


def said(comparisons, **own):
    study = made_up.study(comparisons, **own)
    found = {
        "similarity": over_seeds(study.runs, **study.given, metrics=METRICS, bootstrap=50),
        "counts": tables.counts(study.runs),
    }
    return summary(found), found


def test_similarities_come_with_intervals_and_nulls():
    """Half of the features are shared, at 0.93 by correlation, the others are at 0.1."""
    text, found = said({"seeds": {"vary": ["seed"], "seeds": [0, 1]}})
    first = found["similarity"]
    row = first[(first["quantity"] == "correlation") & (first["statistic"] == "mean_max")].iloc[0]
    ends = f"[{row['value_low']:.2f}, {row['value_high']:.2f}]"
    assert f"seeds: correlation of activations 0.52 {ends}, chance 0.10, others 0.39, 50%" in text
    assert "cosine of decoder rows 0.65, chance 0.36, others 0.53, 50% above 0.7." in text
    assert "4 trained SAEs, 94% of their widths" in text  # and one with random weights
    assert "another layer" not in text  # nulls are no findings


def test_several_pairs_are_a_range_and_comparisons_that_are_too_many_are_counted():
    text, _ = said({"ratios": {"vary": ["sae"], "saes": ["topk-x1", "topk-x2", "topk-x4"]}})
    assert "ratios: expansion: correlation of activations 0.51, chance" in text
    assert "cosine of decoder rows 0.63 to 0.65, chance" in text
    text, _ = said({f"c-{i}": {"vary": ["seed"], "seeds": [0, 1]} for i in range(12)})
    assert "The table has 2 further comparisons." in text


def test_fewer_tokens_than_asked_for_are_said():
    _, found = said({"seeds": {"vary": ["seed"], "seeds": [0, 1]}})
    text = summary({"counts": found["counts"].assign(asked=100_000)})
    assert "There were 10,000 tokens where 100,000 were asked for." in text
    assert summary({}) == ""
