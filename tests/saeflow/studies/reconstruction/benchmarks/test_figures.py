"""Figures of answers, for studies of many shapes: they can be read, and show what they say."""

import numpy as np
import pytest

import made_up_answers
from made_up_grid import hooks
from made_up_study import drawing, table
from readable import faults, keep
from saeflow.studies.reconstruction import STUDY
from saeflow.studies.reconstruction.benchmarks import FIGURES
from saeflow.studies.reconstruction.benchmarks.series import MOST_SERIES, series_of

SETS = ("lambada", "ioi")
# hooks, sites mixed, recipes, seeds, prompt sets
FEW = [(3, False, 2, 3, SETS)]
MANY = [
    (1, False, 1, 1, SETS),
    (1, False, 3, 1, SETS),
    (4, False, 1, 1, tuple(made_up_answers.SETS)),
    (4, False, 12, 3, tuple(made_up_answers.SETS)),
    (24, False, 3, 1, SETS),
    (24, False, 1, 3, SETS),
    (6, True, 3, 1, SETS),
]


def recipes(n):
    return ["relu-weak", "topk-32", "relu-16x-with-a-rather-long-name"][:n] + [
        f"topk-{k}" for k in range(n - 3)
    ]


@pytest.fixture(
    scope="module",
    params=[*FEW, *(pytest.param(shape, marks=pytest.mark.slow) for shape in MANY)],
    ids=lambda shape: "{}-hooks-mixed-{}-{}-recipes-{}-seeds-{}-sets".format(
        *shape[:4], len(shape[4])
    ),
)
def drawings(request):
    """The figures by name, and the shape of the study."""
    n_hooks, mixed, n_recipes, n_seeds, sets = request.param
    places = hooks(n_hooks, mixed=mixed)
    runs = made_up_answers.runs(places, recipes(n_recipes), n_seeds, sets)
    tables, found = {}, {}
    for name, figure in FIGURES.items():
        if figure.table not in tables:
            tables[figure.table] = table(STUDY, figure.table, runs)
        found[name] = drawing(STUDY, name, tables[figure.table])
        shape = "-".join(map(str, (*request.param[:4], len(sets))))
        keep(found[name].figure, shape, name)
    return found, request.param


def test_every_figure_can_be_read(drawings):
    found = {name: faults(one.figure) for name, one in drawings[0].items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_line_without_an_sae_and_the_dots_are_where_the_table_says(drawings):
    found, (n_hooks, mixed, n_recipes, n_seeds, sets) = drawings
    one = found["answers_by_layer"]
    assert len(one.rows) == n_hooks * n_recipes * n_seeds * len(sets)
    ax = one.figure.axes[0]
    title = ax.get_title(loc="left").partition(",")[0].split("\n")[0]
    rows = one.rows[(one.rows["prompts"] == title)]
    assert any(
        np.allclose(line.get_ydata(), rows["accuracy_clean"].mean())
        for line in ax.lines
        if len(line.get_xdata()) == 2
    )
    heights = np.concatenate([c.lines[0].get_ydata() for c in ax.containers]).astype(float)
    assert set(np.round(heights, 9)) <= set(np.round(rows["accuracy"], 9))


def test_shares_of_a_layer_add_up_to_one(drawings):
    for ax in drawings[0]["answer_classes"].figure.axes:
        if ax.get_visible():
            tops = {}
            for bar in ax.patches:
                x = round(bar.get_x(), 6)
                tops[x] = tops.get(x, 0) + bar.get_height()
            assert all(top == pytest.approx(1) for top in tops.values())


def test_medians_are_those_of_the_prompts(drawings):
    one = drawings[0]["answer_change_by_layer"]
    ax, rows = one.figure.axes[0], one.rows
    first = rows.iloc[0]
    of_panel = rows[
        (rows["prompts"] == first["prompts"]) & (rows["sae"] == first["sae"])
        & (rows["site"] == first["site"])
    ]  # fmt: skip
    dashes = [line.get_ydata()[0] for line in ax.lines if line.get_linewidth() > 1.2]
    assert dashes == pytest.approx(of_panel.groupby("block")["delta_logp"].median().tolist())


def test_of_many_recipes_some_are_shown_and_it_is_said(drawings):
    found, (_, mixed, n_recipes, _, sets) = drawings
    for name, one in found.items():
        if FIGURES[name].table == "answer_outcomes":
            n_sites = 3 if mixed else 1
            most = max(1, MOST_SERIES // (len(sets) * n_sites))
            shown = one.rows["sae"].nunique()
            assert shown == min(n_recipes, most), name
            assert any("recipes" in note for note in one.notes) == (shown < n_recipes), name


def test_a_series_is_a_prompt_set_and_a_recipe_at_one_site():
    outcomes = table(
        STUDY, "answer_outcomes", made_up_answers.runs(hooks(6, mixed=True), ["a", "b"], 1, SETS)
    )
    series, notes = series_of(outcomes, most=100)
    assert len(series) == 2 * 2 * 3 and notes == ()
    assert series[0].title == "ioi, a, attn_out" and set(series[0].rows["block"]) == {0, 1}
    few, said = series_of(outcomes, most=4)
    assert len(few) == 4 and len(said) == 2


def test_baselines_are_left_out_beside_saes_and_alone_they_are_shown():
    """A zero ablation would press all others flat."""
    for recipes, drawn in ((["a", "mean"], {"a"}), (["mean"], {"mean"})):
        runs = made_up_answers.runs(hooks(2, mixed=False), recipes, 1, SETS)
        for name in ("answers_by_layer", "answer_classes"):
            one = drawing(STUDY, name, table(STUDY, FIGURES[name].table, runs))
            assert set(one.rows["sae"]) == drawn
            assert any("(mean)" in note for note in one.notes) == (len(recipes) > 1)
