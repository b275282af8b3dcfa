"""Means over seeds, and their intervals."""

import numpy as np
import pytest

import made_up_pairs as made_up
from saeflow.studies.universality.pairs import tables
from saeflow.studies.universality.pairs.seeds import over_seeds

T_2 = 4.302652729911275  # Student's t, 2 degrees of freedom, 97.5 %


def raised(run, by):
    """Return a run of a pair all of whose cosines are so much higher."""

    def change(name, table):  # noqa: ARG001
        return table.assign(cosine=table["cosine"] + by) if "cosine" in table else table

    return made_up.reread(run, change)


def test_three_seeds_give_the_jackknife_over_seeds():
    study = made_up.study({"seeds": {"vary": ["seed"], "seeds": [0, 1, 2]}})
    by = {(0, 1): 0.0, (0, 2): 0.01, (1, 2): 0.05}
    seeds = {run: (run.key.seed, *(other.seed for other in run.key.other)) for run in study.runs}
    runs = [raised(run, by[own]) if (own := seeds[run]) in by else run for run in study.runs]
    table = over_seeds(runs, **study.given, metrics=("mean_max",))
    rows = table[(table["comparison"] == "seeds") & (table["quantity"] == "cosine")]
    assert rows["direction"].tolist() == [tables.FORWARD, tables.BACKWARD]
    row = rows.iloc[0]
    a, b, c = (v + 0.99 - 0.04 for v in by.values())
    floor = min(0.6, np.sqrt(2 * np.log(60) / 16) / 2)
    a, b, c = ((v + floor + more) / 2 for v, more in zip((a, b, c), by.values(), strict=True))
    mean = (a + b + c) / 3
    assert row["value"] == pytest.approx(mean)
    half = T_2 * np.sqrt(2 / 3 * sum((v - mean) ** 2 for v in (a, b, c)))
    assert row["value_low"] == pytest.approx(mean - half)
    assert row["value_high"] == pytest.approx(mean + half)
    assert (row["interval"], row["n_pairs"], row["n_seeds"]) == ("seeds", 3, 3)
    assert not {"first_seed", "second_seed"} & {*table}


def test_pairs_with_a_seed_each_are_as_many_independent_ones():
    """With one pair to a seed the jackknife is the standard error of a mean."""
    study = made_up.study(
        {"ratios": {"vary": ["sae"], "saes": ["topk-x2", "topk-x4"], "seeds": [0, 1, 2, 3]}},
    )
    runs = [raised(run, 0.01 * run.key.seed**2) if run.key.other else run for run in study.runs]
    table = over_seeds(runs, **study.given, metrics=("mean_max",))
    row = table[(table["comparison"] == "ratios") & (table["quantity"] == "cosine")].iloc[0]
    values = 0.01 * np.arange(4) ** 2
    t_3 = 3.182446305284263
    assert row["n_pairs"] == 4 and row["n_seeds"] == 4
    half = (row["value_high"] - row["value_low"]) / 2
    assert half == pytest.approx(t_3 * values.std(ddof=1) / 2)


def test_fewer_seeds_have_the_interval_of_their_pair_or_none():
    study = made_up.study(
        {
            "seeds": {"vary": ["seed"], "seeds": [0, 1]},
            "ratios": {"vary": ["sae"], "saes": ["topk-x2", "topk-x4"], "seeds": [0, 1]},
        }
    )
    given = {**study.given, "metrics": ("mean_max",), "bootstrap": 20}
    table, pairs = over_seeds(study.runs, **given), tables.similarities(study.runs, **given)
    seeds, ratios = (table[table["comparison"] == name] for name in ("seeds", "ratios"))
    assert seeds["interval"].tolist() == ["none", "none", "documents"] * 2
    row, same = (t[(t["comparison"] == "seeds") & (t["quantity"] == "correlation")].iloc[0]
                 for t in (table, pairs))  # fmt: skip
    assert row["value_low"] == same["value_low"] and row["n_pairs"] == 1 and row["n_seeds"] == 2
    assert set(ratios["interval"]) == {"none"} and ratios["value_low"].isna().all()
    assert set(ratios["n_pairs"]) == {2} and len(ratios) == 6


def test_rows_are_in_the_order_of_the_comparisons():
    study = made_up.study(
        {
            "b": {"vary": ["seed"], "seeds": [0, 1, 2]},
            "a": {"vary": ["hook"], "hooks": ["mlp_out.0", "mlp_out.1"]},
        }
    )
    table = over_seeds(study.runs, **study.given, metrics=("mean_max",))
    assert list(dict.fromkeys(table["comparison"]))[:2] == ["b", "a"]
