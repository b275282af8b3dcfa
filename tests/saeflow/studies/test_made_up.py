"""A study is a module: one table and one figure in 25 lines, and no other file knows of it."""

import importlib
import sys
from pathlib import Path

import pytest

import saeflow.studies
from made_up_study import figure_task, publish, table_task
from saeflow import paths
from saeflow.figures.making import make_figures
from saeflow.files import read_json
from saeflow.tables.making import make_tables

HERE = Path(__file__).parent


@pytest.fixture
def study(monkeypatch):
    """The study of `made_up.py`, found as any other is."""
    monkeypatch.setattr(saeflow.studies, "__path__", [*saeflow.studies.__path__, str(HERE)])
    yield importlib.import_module("saeflow.studies.made_up").STUDY
    del sys.modules["saeflow.studies.made_up"]


def measurement(root):
    place = dict(model="m", dataset="d", packing="p", hook="resid_post.0", sae="a", seed=0)
    on = dict(measure="reconstruction", eval_dataset="d", eval_packing="p")
    path = root / paths.fill(paths.MEASUREMENT, **place, **on)
    return publish(path, {"n_tokens": 6, "n_documents": 2}, latents={"fired": [3, 0, 1, 2]})


def test_its_table_and_figure_are_made_by_what_makes_all_others(study, tmp_path):
    inputs = {"reconstruction": [measurement(tmp_path)]}
    table = table_task("alive", study.tables["alive"], inputs, tmp_path)
    make_tables([table])
    figure = figure_task("alive", study.figures["alive"], table.output, tmp_path)
    make_figures([figure])
    assert table.files[0].read_text() == "sae,share\na,0.75\n"
    assert figure.finished and read_json(figure.output)["n_rows"] == 1
    assert all(file.stat().st_size for file in figure.files)


def test_it_is_short():
    assert len((HERE / "made_up.py").read_text().splitlines()) <= 25
