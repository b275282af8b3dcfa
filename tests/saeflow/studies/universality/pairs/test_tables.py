"""Tables of pairs: known similarities, nulls beside them, intervals, counts."""

import numpy as np
import pandas as pd
import pytest

import made_up_pairs as made_up
from saeflow.metrics.intervals import draws
from saeflow.metrics.registry import MEASURES
from saeflow.studies.universality import reading
from saeflow.studies.universality.pairs import tables
from saeflow.tables.runs import Record

METRICS = tuple(metric.name for metric in MEASURES["similarity"].metrics)
STUDY = made_up.study(
    {
        "layers": {"vary": ["hook"], "hooks": ["mlp_out.0", "mlp_out.1"]},
        "ratios": {"vary": ["sae"], "saes": ["topk-x2", "topk-x8"]},
        "sizes": {"vary": ["model"], "models": ["small", "large"]},
    }
)


@pytest.fixture(scope="module")
def table():
    return tables.similarities(STUDY.runs, **STUDY.given, metrics=METRICS, bootstrap=50, seed=0)


def of(table, **values):
    for name, value in values.items():
        table = table[table[name] == value]
    return table


def test_similarities_are_means_over_the_features_that_are_looked_for(table):
    found = of(table, statistic="mean_max")
    compared = {
        (one.comparison, direction): (own.key, other.key, one.differ)
        for one in reading.compared(STUDY.runs, **STUDY.given)
        for side, own, other in one.directions()
        for direction in [tables.DIRECTIONS[side]]
    }
    assert len(found) == sum(
        len(made_up.of_similarity(*pair)) for pair in compared.values()
    )  # each similarity that a pair has, in both directions; of a null in one
    for row in found.itertuples():
        own, other, differ = compared[row.comparison, row.direction]
        assert row.value == pytest.approx(made_up.mean_best(own, other, differ, row.quantity))


def test_half_of_the_features_of_a_narrow_sae_are_in_a_wide_one_and_an_eighth_of_those_back(table):
    """32 latents less 4 against 128 less 4: 14 are shared; the wide one's are first by name."""
    rows = of(table, comparison="ratios", quantity="cosine", statistic="above_07")
    rows = rows.set_index("direction")
    assert rows["first_sae"].unique().tolist() == ["topk-x2"]
    assert rows.loc[tables.FORWARD, "value"] == 14 / 28
    assert rows.loc[tables.BACKWARD, "value"] == 14 / 124
    assert rows["n_first"].unique() == [28] and rows["n_second"].unique() == [124]


def test_what_chance_gives_stands_beside_the_same_statistic(table):
    row = of(
        table, comparison="ratios", quantity="cosine", statistic="mean_max",
        direction=tables.FORWARD,
    ).iloc[0]  # fmt: skip
    floor = min(0.6, np.sqrt(2 * np.log(124) / 16) / 2)
    assert row["null_gaussian"] == pytest.approx(floor)
    assert row["null_columns"] == pytest.approx(floor)
    assert np.isnan(row["null_tokens"]) and np.isnan(row["null_uniform"])
    row = of(table, comparison="ratios", quantity="correlation", statistic="mean_max").iloc[0]
    assert row["null_tokens"] == pytest.approx(0.1) and np.isnan(row["null_gaussian"])


def test_sae_that_share_nothing_are_nulls_of_the_study_s_own(table):
    null = of(table, comparison="random weights", quantity="cosine", statistic="mean_max")
    assert len(null) == 1 and null[list(tables.UNRELATED)].isna().all(axis=None)
    rows = of(table, comparison="ratios", quantity="cosine", statistic="mean_max")
    assert rows["null_random"].tolist() == [null["value"].item()] * 2
    layers = of(table, comparison="layers", statistic="mean_max", quantity="correlation")
    assert layers["null_layer"].isna().all()  # that is what is compared
    assert layers["null_model"].tolist() == pytest.approx([0.1, 0.1])


def test_the_nearest_null_counts_and_of_several_the_most_similar():
    study = made_up.study(
        {"seeds": {"vary": ["seed"], "seeds": [0, 1]}},
        hooks=["mlp_out.1", "mlp_out.2"],
        saes=["topk-x4", "topk-x8"],
    )
    table = tables.similarities(study.runs, **study.given, metrics=("mean_max",))
    rows = of(table, comparison="seeds", quantity="cosine", first_sae="topk-x8")
    own = of(table, comparison="shuffled model", quantity="cosine")
    wide = own[(own["first_sae"] == "topk-x8") & (own["first_hook"] == "mlp_out.1")]
    assert rows["null_model"].tolist() == [wide["value"].item()] * 4
    narrow = own[own["first_sae"] == "topk-x4"]["value"]
    assert not narrow.isin(wide["value"]).any()


def _record_of_correlations(record, side):
    """Return of a record the statistic's mean in resampled groups, one latent after another."""
    groups = record.table("groups.parquet")
    groups = groups[groups["side"] == side]
    means = []
    for counts in np.concatenate(list(draws(made_up.N_GROUPS, 50, 0))):
        values = []
        for _, rows in groups.groupby("latent", sort=False):
            names = ("n", "sum", "square", "match_sum", "match_square", "both")
            s = {name: (counts * rows[name].to_numpy(float)).sum() for name in names}
            mean, match = s["sum"] / s["n"], s["match_sum"] / s["n"]
            below = (s["square"] / s["n"] - mean**2) * (s["match_square"] / s["n"] - match**2)
            values.append((s["both"] / s["n"] - mean * match) / below**0.5)
        means.append(np.mean(values))
    return np.quantile(means, [0.025, 0.975])


def test_correlations_have_intervals_over_groups_of_documents(table):
    rows = of(table, comparison="ratios", direction=tables.BACKWARD)
    row = of(rows, quantity="correlation", statistic="mean_max").iloc[0]
    pair = next(
        one for one in reading.compared(STUDY.runs, **STUDY.given) if one.comparison == "ratios"
    )
    expected = _record_of_correlations(pair.record, "second")
    assert row[["value_low", "value_high"]].tolist() == pytest.approx(expected.tolist())
    assert row["value_low"] < row["value"] < row["value_high"]
    others = rows[(rows["quantity"] != "correlation") | (rows["statistic"] == "one_to_one")]
    assert others[["value_low", "value_high"]].isna().all(axis=None)


def test_a_latent_that_is_not_active_in_the_groups_that_are_drawn_correlates_with_nothing():
    latents = pd.DataFrame({"latent": [3], "active": [5], "carried": [1.0], "correlation": [1.0]})
    alike = {"side": "first", "latent": 3, "n": 2.0}
    groups = pd.DataFrame(
        [{**alike, "group": 0, "sum": 1.0, "square": 1.0, "match_sum": 1.0, "match_square": 1.0,
          "both": 1.0},
         {**alike, "group": 1, "sum": 0.0, "square": 0.0, "match_sum": 0.0, "match_square": 0.0,
          "both": 0.0}]
    )  # fmt: skip
    files = {"first.parquet": latents, "groups.parquet": groups}
    record = Record({}, files.__getitem__)
    ends = tables._intervals(record, "first", ("mean_max", "one_to_one"), 100, 0)
    assert ends["mean_max"] == (0.0, pytest.approx(1.0)) and ends["one_to_one"] == (None, None)


def test_spaces_stand_beside_random_pairings():
    table = tables.spaces(STUDY.runs, **STUDY.given)
    row = of(table, comparison="ratios", quantity="svcca").iloc[0]
    assert (row["value"], row["null"], row["null_sd"]) == (pytest.approx(0.94), 0.3, 0.02)
    assert row["n_matched"] == 14
    assert len(table) == 3 * (3 + 3)


def test_what_is_not_said_of_spaces_is_missing():
    runs = []
    for run in STUDY.runs:
        records = dict(run.records)
        if "similarity" in records:
            facts = {**records["similarity"].facts, "spaces": {"matched": 3}}
            records["similarity"] = Record(facts, records["similarity"].read)
        runs.append(type(run)(run.key, records))
    table = tables.spaces(runs, **STUDY.given)
    assert table[["value", "null"]].isna().all(axis=None) and (table["n_matched"] == 3).all()


def test_every_feature_of_an_sae_is_counted_once():
    table = tables.counts(STUDY.runs)
    assert (table[list(tables.STATUSES)].sum(axis=1) == table["width"]).all()
    row = of(table, model="small", sae="topk-x2").iloc[0]
    assert row[["width", "live", "dead", "rare", "duplicate"]].tolist() == [32, 28, 2, 1, 1]
    latents = next(
        run.records["codes"] for run in STUDY.runs if run.key.sae == "topk-x2"
        and "codes" in run.records
    ).table("latents.parquet")  # fmt: skip
    active = latents["active"].to_numpy()
    assert row["carried"] == pytest.approx(1 - (3 + 25) / active.sum())
    assert of(table, sae="random-x4")["baseline"].tolist() == ["topk, untrained"]


def test_tables_of_nothing_have_their_columns():
    none = {"pairs": []}
    table = tables.similarities(STUDY.runs, **none, metrics=METRICS)
    assert table.empty and {*reading.COLUMNS, "value", *tables.NULLS} <= {*table}
    assert {"value", "null"} <= {*tables.spaces(STUDY.runs, **none)}
