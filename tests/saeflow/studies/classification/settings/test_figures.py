"""Figures of probes for many shapes of studies: what is drawn, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import pandas as pd
import pytest

import made_up_probes
from saeflow.figures.drawing import Drawing
from saeflow.studies.classification import settings
from saeflow.studies.classification.settings import (
    along,
    by_task,
    curves,
    forest,
    tables,
    win_maps,
    wins,
)
from saeflow.tables.files import read_csv, write_csv

BUILDERS = {
    "choices": tables.choices, "tasks": tables.tasks, "curves": along.curves,
    "control": tables.control, "wins": wins.wins,
}  # fmt: skip
SHAPES = {
    "one": (1, 1, 1, 1), "usual": (2, 3, 1, 5), "seeds": (1, 2, 3, 3), "many tasks": (1, 1, 1, 40),
    "deep": (24, 1, 1, 2), "many SAEs": (1, 40, 1, 2),
}  # fmt: skip
RECIPES = ("topk-8", "topk-32-wide", "random-a")


@cache
def made(shape: str) -> Mapping[str, pd.DataFrame]:
    """Return the tables of a shape: numbers of hooks, recipes, seeds and tasks."""
    n_hooks, n_recipes, n_seeds, n_tasks = SHAPES[shape]
    hooks = [f"resid_post.{block}" for block in range(min(n_hooks, 2))]
    runs = made_up_probes.runs(hooks, RECIPES[:n_recipes], n_seeds=n_seeds, n_tasks=n_tasks)
    found = {name: _as_read(build(runs, bootstrap=20, seed=0)) for name, build in BUILDERS.items()}
    again = {}
    if n_hooks > 2:
        again = {"hook": [f"resid_post.{i}" for i in range(n_hooks)], "block": range(n_hooks)}
    if n_recipes > 3:
        again = {"sae": [f"topk-{i}" for i in range(n_recipes)]}
    return {name: _repeated(table, **again) for name, table in found.items()} if again else found


def _as_read(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as a figure gets it, through a file."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "table.csv"
        write_csv(table, file)
        return read_csv(file)


def _repeated(table: pd.DataFrame, **columns) -> pd.DataFrame:
    """Return the rows of the first value of a column again for each of other values."""
    (first, values), *_ = columns.items()
    rows = table[table[first] == table[first].iloc[-1]]
    return pd.concat(
        [rows.assign(**{name: new[i] for name, new in columns.items()}) for i in range(len(values))]
    )


FIGURES = {
    forest.gains_by_sae: "choices",
    forest.gains_by_condition: "choices",
    forest.chance: "control",
    curves.auc_curves: "curves",
    win_maps.win_rates: "wins",
    by_task.tasks_scatter: "tasks",
    by_task.shifted: "tasks",
}


@pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_figure_fits_its_page(shape, draw):
    drawing = draw(made(shape)[FIGURES[draw]])
    width, height = drawing.figure.get_size_inches()
    assert width <= 10 and height <= 24
    assert len(drawing.rows) and set(drawing.rows) >= {"labelled", "hook", "sae"}
    drawing.figure.draw_without_rendering()


def test_every_figure_of_the_part_is_drawn_here():
    own = {f"{draw.__module__}:{draw.__name__}" for draw in FIGURES}
    assert {figure.draw for figure in settings.FIGURES.values()} == own
    assert {figure.table for figure in settings.FIGURES.values()} <= set(settings.TABLES)


def _texts(drawing: Drawing) -> list[str]:
    return [text.get_text() for text in drawing.figure.findobj(mpl.text.Text)]


def test_gains_name_controls_and_say_how_often_codes_are_picked():
    made_up = made_up_probes.runs(["resid_post.0"], ["topk-8", "random-a"], n_tasks=2)
    table = tables.choices(made_up).assign(picked=0.25)
    texts = _texts(forest.gains_by_sae(table))
    assert "random-a (control)" in texts and texts.count("25%") == 2


def test_conditions_are_named_in_words_and_in_order():
    ax = forest.gains_by_condition(made("usual")["choices"]).figure.axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [
        "all examples", "8 examples", "32 examples", "128 examples", "10 % positive",
        "50 % positive", "10 % flipped", "30 % flipped", "another source",
    ]  # fmt: skip


def test_states_and_saes_are_named_as_they_are():
    texts = _texts(forest.chance(made("usual")["control"]))
    assert {"states", "topk-8", "random-a"} <= set(texts) and "nan" not in texts
    assert {"random-a (control)", "topk-8, 128 wide"} <= set(
        _texts(win_maps.win_rates(made("usual")["wins"]))
    )


def test_what_stands_for_all_saes_is_drawn_once():
    drawing = curves.auc_curves(made("usual")["curves"])
    assert set(drawing.rows["sae"]) == {"all SAEs"}
    drawing = curves.auc_curves(made("one")["curves"])
    assert set(drawing.rows["sae"]) == {"topk-8"}


def test_curves_go_through_the_means_of_the_table():
    table = made("one")["curves"]
    ax = curves.auc_curves(table).figure.axes[0]
    own = table[(table["setting"] == "scarcity") & (table["series"] == "best baseline")]
    lines = [list(line.get_ydata()) for line in ax.lines]
    assert list(own.sort_values("level")["auc"]) in lines


def test_numbers_of_win_rates_are_those_of_the_table_in_brackets_where_unsure():
    table = made("one")["wins"]
    found = table[table["opponent"] == "logistic"].set_index("probe")
    ax = win_maps.win_rates(table).figure.axes[0]
    names = [label.get_text() for label in ax.get_xticklabels()]
    short = {"best SAE probe": "best", "all latents": "all"}
    texts = {names[round(text.get_position()[0])]: text.get_text() for text in ax.texts}
    assert len(texts) == len(found)
    for probe, row in found.iterrows():
        text = texts[short.get(probe, probe.removeprefix("k = "))]
        assert float(text.strip("()")) == pytest.approx(row["won"], abs=0.005)
        assert text.startswith("(") == (row["won_low"] <= 0.5 <= row["won_high"])


def test_few_tasks_are_all_named_and_many_only_where_they_differ_most():
    few = _texts(by_task.tasks_scatter(made("usual")["tasks"]))
    assert {f"task-{i}" for i in range(5)} <= set(few)
    drawing = by_task.tasks_scatter(made("many tasks")["tasks"])
    table = drawing.rows.assign(apart=lambda t: (t["auc_sparse"] - t["auc_baselines"]).abs())
    most = set(table.nlargest(4, "apart")["task"])
    assert {text for text in _texts(drawing) if text.startswith("task-")} == most
    assert "Named are the 4 tasks" in " ".join(drawing.notes)


def test_several_labelled_texts_have_panels_of_their_own():
    one, two = (made_up_probes.runs(["resid_post.0"], ["topk-8"], n_tasks=2, labelled=name)
                for name in ("reviews", "news"))  # fmt: skip
    drawing = forest.gains_by_sae(tables.choices((*one, *two)))
    assert [ax.get_title(loc="left") for ax in drawing.figure.axes] == [
        "reviews, resid_post.0", "news, resid_post.0",
    ]  # fmt: skip
