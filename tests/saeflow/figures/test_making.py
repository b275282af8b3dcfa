"""The job that draws the figures of a study, from tables on disk."""

import dataclasses

import pytest

import made_up_study
from made_up_study import figure_task
from saeflow.errors import DataError
from saeflow.figures.making import make_figures
from saeflow.files import read_json
from saeflow.studies.suppression import STUDY
from saeflow.tables.files import write_csv


@pytest.fixture
def l0(tmp_path):
    """The record of the table of L0 of a made-up study."""
    table = made_up_study.table(STUDY, "l0", made_up_study.runs(n_blocks=2))
    write_csv(table, tmp_path / "l0.csv")
    return tmp_path / "l0.json"


ENTRY = STUDY.figures["l0_by_method"]


def test_a_figure_is_made_from_a_csv_with_the_same_bytes_each_time(l0, tmp_path):
    tasks = [figure_task("l0_by_method", ENTRY, l0, tmp_path / name) for name in "ab"]
    for task in tasks:
        make_figures([task])
        assert task.finished
    for a, b in zip(*(task.files for task in tasks), strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_the_record_counts_the_rows_that_are_drawn(l0, tmp_path):
    every = ENTRY._replace(select="")
    tasks = [figure_task(name, e, l0, tmp_path) for name, e in (("a", ENTRY), ("b", every))]
    make_figures(tasks)
    # two blocks of two ReLU recipes with three methods each; TopK recipes are not drawn
    assert [read_json(task.output)["n_rows"] for task in tasks] == [12, 16]


OF_NO_SAE = ("theory", "published")


@pytest.mark.parametrize("name", [n for n, f in STUDY.figures.items() if f.table not in OF_NO_SAE])
def test_an_empty_table_is_an_error_not_an_empty_figure(name, tmp_path):
    entry = STUDY.figures[name]
    write_csv(made_up_study.table(STUDY, entry.table, ()), tmp_path / "t.csv")
    task = figure_task(name, entry._replace(select=""), tmp_path / "t.json", tmp_path)
    make_figures([task])
    assert isinstance(task.error, DataError) and "nothing to draw" in str(task.error)


def test_a_figure_that_fails_leaves_the_others_alone(l0, tmp_path):
    bad = dataclasses.replace(figure_task("bad", ENTRY, l0, tmp_path))
    bad.settings["options"]["value"] = "l1"
    good = figure_task("good", ENTRY, l0, tmp_path)
    make_figures([bad, good])
    assert good.finished and not bad.output.exists()
    assert "dots_by_layer" in str(bad.error) and "'l1'" in str(bad.error)
