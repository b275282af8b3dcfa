"""Known facts in several SAEs: who finds them, and how far their features match."""

import numpy as np
import pytest

import made_up_matches as made_up
from made_up_pairs import factorial, lacking, reread
from readable import faults
from saeflow.studies.classification.facts import EVERY
from saeflow.studies.universality.matches import fact_figures
from saeflow.studies.universality.matches.facts import facts_found, facts_universal
from saeflow.studies.universality.reading import compared
from saeflow.studies.universality.summary import known
from saeflow.world.facts import KINDS

SEEDS = {"seeds": {"vary": ["seed"], "seeds": [0, 1, 2]}}
LAYERS = {"layers": {"vary": ["hook"], "hooks": ["mlp_out.0", "mlp_out.1"]}}


def pairs_of(study):
    return [pair for pair in study.given["pairs"] if not pair.get("reference")]


def found(comparisons, **own):
    study = made_up.study(comparisons, **own)
    return facts_found(study.runs, pairs=pairs_of(study)), study


def test_facts_are_found_by_the_saes_whose_best_latent_tells_them():
    table, _ = found(SEEDS)
    own = table[table["similarity"] == "correlation"].set_index("fact")
    assert (own["n_saes"] == 3).all() and len(own) == 12
    # the first third by all, those in the middle by seeds 0 and 2, the last third by none
    assert own["found"].tolist() == [3] * 4 + [2] * 4 + [0] * 4
    assert own["f1"].tolist() == pytest.approx([0.9] * 4 + [0.7] * 4 + [0.3] * 4)
    assert own["kind"].tolist() == [KINDS[0]] * 4 + [KINDS[1]] * 4 + [KINDS[2]] * 4
    assert (own["share"] == 30 / 600).all()
    # both directions of three pairs; those with seed 1 have one direction where it finds none
    assert own["n_matches"].tolist() == [6] * 4 + [4] * 4 + [0] * 4


@pytest.mark.parametrize(
    ("comparisons", "column"), [(SEEDS, "cosine"), (LAYERS, "aligned"), (SEEDS, "correlation")]
)
def test_matches_are_held_against_latents_that_are_as_frequent(comparisons, column):
    table, study = found(comparisons)
    similarity = "correlation" if column == "correlation" else "cosine"
    for fact in (0, 5, 9):
        values, alike, same = [], [], []
        for pair in compared(study.runs, pairs_of(study)):
            for side, own, other in pair.directions():
                if made_up.f1_of(own.key, fact) <= 0.7:
                    continue
                rows = pair.side(side).set_index("latent")
                told = {
                    made_up.latent_of(own.key, i) for i in range(made_up.N_FACTS)
                    if made_up.f1_of(own.key, i) > 0.7
                }  # fmt: skip
                latent = made_up.latent_of(own.key, fact)
                others = sorted(
                    (abs(np.log(row.active) - np.log(rows.loc[latent, "active"])), i)
                    for i, row in enumerate(rows.itertuples())
                    if row.Index not in told
                )
                values.append(rows.loc[latent, column])
                alike.append(np.mean([rows[column].iloc[i] for _, i in others[:20]]))
                match = rows.loc[latent, f"{column}_match"]
                same.append(match == made_up.latent_of(other.key, fact))
        row = table[(table["fact"] == f"fact {fact}") & (table["similarity"] == similarity)].iloc[0]
        assert row["n_matches"] == len(values)
        if values:
            assert row["value"] == pytest.approx(np.mean(values))
            assert row["alike"] == pytest.approx(np.mean(alike))
            assert row["more"] == pytest.approx(np.mean(values) - np.mean(alike))
            assert row["same"] == np.mean(same)
        else:
            assert np.isnan(row["more"])


def test_what_is_said_of_all_facts_is_the_mean_over_those_that_are_found():
    table, study = found(SEEDS)
    both = facts_universal(study.runs, pairs=pairs_of(study), bootstrap=200, seed=0)
    own = both[both["similarity"] == "correlation"].set_index("kind")
    every = own.loc[EVERY]
    assert every[["n_facts", "found_by_all", "found_by_none"]].tolist() == [12, 4, 4]
    used = table[(table["similarity"] == "correlation") & (table["n_matches"] > 0)]
    assert every["n_compared"] == len(used) == 8
    assert every["more"] == pytest.approx(used["more"].mean())
    assert every["more_low"] < every["more"] < every["more_high"]
    assert np.isnan(own.loc[KINDS[2], "more"]) and own.loc[KINDS[2], "n_compared"] == 0
    assert own.loc[KINDS[0], "more_low"] > own.loc[KINDS[0], "more"] - 0.1


def test_a_latent_that_is_not_compared_tells_nothing_of_matches():
    _, study = found(SEEDS)

    def without(run):
        keys = dict(
            zip(("first.parquet", "second.parquet"), (run.key, *run.key.other), strict=False)
        )

        def change(name, table):
            return table[table["latent"] != made_up.latent_of(keys[name].training, 0)]

        return reread(run, change)

    table = facts_found(tuple(map(without, study.runs)), pairs=pairs_of(study))
    row = table[(table["fact"] == "fact 0") & (table["similarity"] == "correlation")].iloc[0]
    assert row["found"] == 3 and row["n_matches"] == 0 and np.isnan(row["value"])


def test_an_sae_of_which_nothing_is_known_is_left_out():
    _, study = found(SEEDS)
    table = facts_found(lacking(study.runs, "facts", 2), pairs=pairs_of(study))
    assert (table["n_saes"] == 2).all()
    assert facts_found([], pairs=pairs_of(study)).empty
    assert facts_universal([], pairs=[]).empty


def test_the_summary_says_what_all_find_and_whether_it_matches_better():
    _, study = found(SEEDS | LAYERS)
    table = facts_universal(study.runs, pairs=pairs_of(study), bootstrap=100, seed=0)
    said = " ".join(known(table))
    assert said.startswith("Of 12 known facts of the world, all 3 SAEs of 'seeds' find 4")
    assert "the same fact in 100% of cases" in said
    assert "Elsewhere that difference is" in said and "(layers)" in said
    assert list(known(table.iloc[:0])) == []


MANY = {
    **SEEDS,
    **LAYERS,
    "widths": {"vary": ["sae"], "saes": [f"topk-x{2**i}" for i in range(1, 6)]},
    "factorial": factorial(),
    "models": {"vary": ["model"], "models": ["small", "large", "huge", "shuffled"]},
}


@pytest.mark.parametrize("comparisons", [SEEDS, MANY])
def test_figures_can_be_read(comparisons):
    table = fact_figures.by_correlation(found(comparisons)[0])
    for draw in (fact_figures.facts_universal, fact_figures.facts_found):
        drawing = draw(table)
        assert faults(drawing.figure) == []
        assert set(drawing.rows["comparison"]) == set(comparisons)


def test_bars_are_as_high_as_the_numbers_of_facts():
    table = fact_figures.by_correlation(found(SEEDS)[0])
    (ax,) = fact_figures.facts_found(table).figure.axes
    heights = np.zeros(4)
    for bar in ax.patches:
        heights[round(bar.get_x() + bar.get_width() / 2)] += bar.get_height()
    assert heights.tolist() == [4, 0, 4, 4]
    # 20 of 36: (4/9)^3, 3 (5/9) (4/9)^2, 3 (5/9)^2 (4/9), (5/9)^3 of 12 facts
    expected = [12 * w * 5**i * 4 ** (3 - i) / 729 for i, w in enumerate((1, 3, 3, 1))]
    (lines,) = ax.collections
    assert [segment[0][1] for segment in lines.get_segments()] == pytest.approx(expected)
