"""Matched features with the texts of both."""

import numpy as np
import pandas as pd
import pytest

import made_up_matches as made_up
from made_up_pairs import N_TOKENS, lacking, reread
from readable import faults
from saeflow.studies.universality.matches import MATCHED, UNMATCHED
from saeflow.studies.universality.matches.shown import ALONE, BEST, RANDOM, matched_contexts
from saeflow.studies.universality.matches.side_by_side import side_by_side
from saeflow.studies.universality.reading import compared
from saeflow.tables.files import read_csv, write_csv

SEEDS = {"seeds": {"vary": ["seed"], "seeds": [0, 1]}}
WIDTHS = {"ratios": {"vary": ["sae"], "saes": ["topk-x2", "topk-x4", "topk-x8"]}}
LAYERS = {"layers": {"vary": ["hook"], "hooks": ["mlp_out.0", "mlp_out.1"]}}


def pairs_of(study):
    """Return the first pair of each comparison."""
    first = {}
    for pair in study.given["pairs"]:
        if not pair.get("reference"):
            first.setdefault(pair["comparison"], pair)
    return list(first.values())


def shown(comparisons, seed=0, **own):
    study = made_up.study(comparisons, **own)
    pairs = pairs_of(study)
    return matched_contexts(study.runs, pairs=pairs, seed=seed), study, pairs


def test_features_are_shown_of_each_kind_with_their_matches():
    table, study, pairs = shown(SEEDS)
    (pair,) = compared(study.runs, pairs)
    side = pair.side("first").set_index("latent")
    of_latents = table.drop_duplicates(["kind", "place"])
    assert of_latents.groupby("kind").size().to_dict() == {BEST: 5, RANDOM: 5, ALONE: 5}
    for row in of_latents.itertuples():
        assert row.match == side.loc[row.latent, "correlation_match"]
        assert row.correlation == side.loc[row.latent, "correlation"]
        assert row.cosine == side.loc[row.latent, "cosine"]
    best = of_latents[of_latents["kind"] == BEST]
    assert best["correlation"].tolist() == sorted(side["correlation"], reverse=True)[:5]
    alone = of_latents[of_latents["kind"] == ALONE]
    assert (alone["correlation"] < UNMATCHED).all()
    left = side[side["correlation"] < UNMATCHED].sort_values("carried", ascending=False)
    assert alone["latent"].tolist() == left.index[:5].tolist()
    drawn = of_latents[of_latents["kind"] == RANDOM]
    assert (drawn["correlation"] >= MATCHED).all()
    assert not set(drawn["latent"]) & set(best["latent"])


def test_contexts_are_those_of_the_saes_and_frequencies_their_own():
    table, study, pairs = shown(SEEDS)
    (pair,) = compared(study.runs, pairs)
    for (side, _, _), rows in table.groupby(["side", "kind", "place"]):
        sae = getattr(pair, side)
        latent = rows["latent" if side == "first" else "match"].iloc[0]
        contexts = sae.run.records["contexts"].table("contexts.parquet").query("latent == @latent")
        pd.testing.assert_series_equal(
            rows["before"], contexts["before"], check_index=False, check_names=False
        )
        assert rows["rank"].tolist() == [1, 2, 3, 4]
        assert set(rows["token"]) == {f"token{latent}"}
        active = sae.codes.table("latents.parquet")["active"][latent]
        assert (rows["frequency"] == active / N_TOKENS).all()


def test_a_match_stands_beside_the_feature_that_is_nearest_to_it():
    _, study, pairs = shown(SEEDS)
    (pair,) = compared(study.runs, pairs)
    side = pair.side("first").sort_values("correlation", ascending=False).reset_index(drop=True)
    side.loc[:2, "correlation_match"] = side.loc[0, "correlation_match"]
    runs = with_first(study, side)
    best = matched_contexts(runs, pairs=pairs, seed=0).query("kind == @BEST")["latent"].unique()
    assert best.tolist() == side.loc[[0, 3, 4, 5, 6], "latent"].tolist()


def with_first(study, table):
    """Return the runs of a study of one pair with another first.parquet."""

    def change(name, own):
        return table if name == "first.parquet" else own

    return [reread(run, change) for run in study.runs]


def test_a_seed_draws_other_random_matches_and_leaves_the_rest():
    one, other = (shown(SEEDS, seed)[0] for seed in (0, 1))
    for kind in (BEST, ALONE):
        pd.testing.assert_frame_equal(one[one["kind"] == kind], other[other["kind"] == kind])
    assert set(one[one["kind"] == RANDOM]["latent"]) != set(
        other[other["kind"] == RANDOM]["latent"]
    )


def test_directions_of_two_hooks_are_aligned_before_they_are_compared():
    table, study, pairs = shown(LAYERS)
    (pair,) = compared(study.runs, pairs)
    side = pair.side("first").set_index("latent")
    for row in table.drop_duplicates("latent").itertuples():
        assert row.cosine == side.loc[row.latent, "aligned"]


def test_a_cosine_with_another_feature_than_the_match_is_not_told():
    _, study, pairs = shown(SEEDS)
    (pair,) = compared(study.runs, pairs)
    side = pair.side("first")
    changed = side.assign(cosine_match=side["cosine_match"].max() + 1)
    runs = with_first(study, changed)
    assert matched_contexts(runs, pairs=pairs, seed=0)["cosine"].isna().all()


def test_an_sae_without_contexts_is_left_out():
    _, study, pairs = shown(SEEDS)
    runs = lacking(study.runs, "contexts", 1)
    assert matched_contexts(runs, pairs=pairs, seed=0).empty


def wrong(figure):
    """Return what is wrong with a figure of words, which has neither ticks nor lines."""
    return [f for f in faults(figure) if "lies upon" in f or "leaves" in f or "tall" in f]


MANY = {f"seeds {i}": {"vary": ["seed"], "seeds": [0, i]} for i in range(1, 10)}


@pytest.mark.parametrize(("comparisons", "n"), [(SEEDS | WIDTHS | LAYERS, 3), (MANY, 8)])
def test_texts_lie_apart_however_many_pairs_are_shown(comparisons, n):
    table, _, _ = shown(comparisons)
    drawing = side_by_side(table)
    assert wrong(drawing.figure) == []
    assert drawing.rows["comparison"].nunique() == n
    assert set(drawing.rows["kind"]) == {BEST, RANDOM, ALONE}
    said = " ".join(drawing.notes)
    assert (f"{n} of {len(comparisons)} pairs" in said) == (n < len(comparisons))


def test_both_sides_of_a_feature_stand_in_their_halves_in_the_same_lines():
    table, _, _ = shown(SEEDS)
    texts = side_by_side(table).figure.axes[0].texts
    bold = [text for text in texts if text.get_fontweight() == "bold"]
    left, right = ([t for t in bold if (t.get_position()[0] > 4.7) == side] for side in (0, 1))
    assert [t.get_position()[1] for t in left] == [t.get_position()[1] for t in right]
    first = table[table["side"] == "first"]["token"].iloc[0]
    assert left[0].get_text() == first
    assert np.ptp([t.get_position()[0] for t in left]) == 0


def test_a_table_from_a_file_has_the_same_figure(tmp_path):
    table, _, _ = shown(SEEDS)
    table = table[(table["place"] == 1) & (table["rank"] <= 2)].copy()
    table["before"] = ["", *table["before"].iloc[1:]]
    table["after"] = ""
    write_csv(table, tmp_path / "table.csv")
    drawn, again = (side_by_side(t) for t in (table, read_csv(tmp_path / "table.csv")))
    texts = [[t.get_text() for t in one.figure.axes[0].texts] for one in (drawn, again)]
    assert texts[0] == texts[1]


def test_texts_of_any_letters_are_drawn_in_one_line():
    table, _, _ = shown(SEEDS)
    table = table[table["place"] == 1].copy()
    table["before"], table["after"] = "a $x$\n\x07 \\frac " * 20, "word\n" * 40
    table["token"] = "\n"
    figure = side_by_side(table).figure
    assert wrong(figure) == []
    bold = [t.get_text() for t in figure.axes[0].texts if t.get_fontweight() == "bold"]
    assert set(bold) == {"↵"}
