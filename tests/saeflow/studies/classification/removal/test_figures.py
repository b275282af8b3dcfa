"""Figures of edits, for studies of many shapes; to be looked at: `SAEFLOW_FIGURES`."""

import numpy as np
import pytest

import made_up_edits as made
import made_up_study
from readable import faults, keep
from saeflow.errors import DataError
from saeflow.studies.classification.removal import FIGURES, TABLES
from saeflow.studies.classification.removal import figures as of_removal
from saeflow.studies.classification.removal.steering import steering as draw_steering
from saeflow.studies.classification.removal.tables import removal, steering
from saeflow.studies.study import Study

METRIC_NAMES = ["edit_delta_ce", "edit_end_score", "edit_logit_difference"]
RECIPES = ["relu-weak", "topk-32", "relu-16x-with-a-rather-long-name", "gated"]
# hooks, SAEs, seeds, tasks, entries
FEW = [(4, 3, 1, 2, 1), (1, 1, 1, 1, 1)]
MANY = [(24, 4, 3, 1, 1), (4, 2, 3, 2, 2), (2, 1, 1, 40, 1), (24, 1, 1, 3, 1)]


@pytest.fixture(
    scope="module",
    params=[*FEW, *(pytest.param(shape, marks=pytest.mark.slow) for shape in MANY)],
    ids=lambda shape: "{}-hooks-{}-saes-{}-seeds-{}-tasks-{}-entries".format(*shape),
)
def shape(request):
    return request.param


@pytest.fixture(scope="module")
def tables(shape):
    n_hooks, n_saes, n_seeds, n_tasks, n_entries = shape
    hooks = [f"resid_post.{i}" for i in range(n_hooks)]
    runs = made.runs(
        hooks, RECIPES[:n_saes], n_seeds, [f"film.tone {i}" for i in range(n_tasks)],
        entries=["reviews", "news"][:n_entries],
    )  # fmt: skip
    samples = 20 if n_hooks * n_tasks * n_seeds < 30 else 0
    return {
        "removal": removal(runs, metrics=METRIC_NAMES[:2], bootstrap=samples, seed=0),
        "steering": steering(runs, metrics=METRIC_NAMES, bootstrap=20, seed=0),
    }


@pytest.fixture(scope="module")
def drawings(tables, shape):
    study = Study("", "", TABLES, FIGURES)
    found = {
        name: made_up_study.drawing(study, name, tables[one.table]) for name, one in FIGURES.items()
    }
    for name, drawing in found.items():
        keep(drawing.figure, "-".join(map(str, shape)), name)
    return found


def test_texts_lie_apart_and_every_panel_has_content(drawings):
    found = {name: faults(drawing.figure) for name, drawing in drawings.items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_seeds_are_spoken_of_where_there_are_several(drawings, shape):
    for name in ("removal_frontier", "removal_by_layer", "steering"):
        assert ("means over" in " ".join(drawings[name].notes)) == (shape[2] > 1), name


def test_tasks_that_are_left_out_are_counted(drawings, shape):
    n_tasks = shape[3] * shape[4]
    for name, drawing in drawings.items():
        said = " ".join(drawing.notes)
        n_shown = drawing.rows[["labelled", "task"]].drop_duplicates().shape[0]
        assert (f"Shown are {n_shown} of {n_tasks} tasks" in said) == (n_shown < n_tasks), name


def test_old_readers_and_fresh_ones_are_told_apart(drawings, tables):
    drawing = drawings["removal_readers"]
    drawn = np.concatenate(
        [line.get_xydata() for ax in drawing.figure.axes if ax.get_visible()
         for line in ax.lines if line.get_marker() not in ("", "None", None)]
    )  # fmt: skip
    rows = tables["removal"]
    rows = rows[(rows["of"] == rows["task"]) & (rows["way"] == "features")]
    points = {tuple(np.round(p, 9)) for p in drawn.tolist()}
    row = rows.iloc[0]
    assert tuple(np.round([row["old_auc"], row["auc"]], 9)) in points
    assert row["old_auc"] < row["auc"] - 0.05


def test_no_numbers_are_said():
    empty = removal([], metrics=METRIC_NAMES[:2], bootstrap=0, seed=0)
    with pytest.raises(DataError, match="nothing to draw"):
        of_removal.old_readers(empty)


def test_steering_shows_tasks_with_words_where_there_are_any():
    runs = [
        *made.runs(["resid_post.0"], ["relu"], tasks=["tone"]),
        *made.runs(["resid_post.0"], ["relu"], tasks=["length"], entries=["news"], words=False),
    ]
    table = steering(runs, metrics=METRIC_NAMES, bootstrap=0, seed=0)
    drawing = draw_steering(table)
    assert set(drawing.rows["task"]) == {"tone"}
    assert "1 task without words is in the table only." in drawing.notes
    alone = draw_steering(table[table["task"] == "length"])
    assert len([ax for ax in alone.figure.axes if ax.get_visible()]) == 2
    assert set(alone.rows["task"]) == {"length"}
