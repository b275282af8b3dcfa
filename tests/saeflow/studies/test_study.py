"""What every study says of itself is true of the functions and metrics that it names."""

import inspect
import json
import subprocess
import sys

import pytest
from docutils.core import publish_doctree

from saeflow.metrics.registry import METRICS, measure_of
from saeflow.registry import function, load, names
from saeflow.studies.study import Study, Table, bars, every_sae, metrics_table, paired_table

STUDIES = {
    name: load("studies", name).STUDY
    for name in names("studies")
    if hasattr(load("studies", name), "STUDY")
}
EVERY = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)


def parameters(name):
    return set(inspect.signature(function(name)).parameters)


@EVERY
def test_every_builder_takes_what_its_table_gives(study):
    for table in study.tables.values():
        given = {*table.options, *(["metrics"] if table.metrics else [])}
        given |= {"bootstrap", "seed"} if table.resampled else set()
        assert given <= parameters(table.build), table
        assert {measure_of(name).name for name in table.metrics} <= {*table.reads, *table.also}


@EVERY
def test_every_figure_is_drawn_from_a_table_with_what_its_function_takes(study):
    for figure in study.figures.values():
        assert figure.table in study.tables and figure.title
        given = {*figure.options, *(["labels"] if figure.labels else [])}
        assert given <= parameters(figure.draw), figure
        assert set(figure.labels) <= set(METRICS)
        if figure.select:
            assert len(parameters(figure.select)) == 1
    assert study.key_figure in study.figures


@EVERY
def test_options_are_json(study):
    for entry in [*study.tables.values(), *study.figures.values()]:
        json.dumps(entry.options)


@EVERY
def test_every_caption_is_valid(study):
    settings = {"halt_level": 2, "report_level": 2, "warning_stream": False}
    for text in (study.introduction, *(figure.caption for figure in study.figures.values())):
        (paragraph,) = publish_doctree(inspect.cleandoc(text), settings_overrides=settings).children
        assert paragraph.tagname == "paragraph"


def test_no_specification_needs_more_than_numpy():
    code = (
        "import sys, saeflow.studies.suppression, saeflow.studies.models;"
        "print({'torch', 'pandas', 'matplotlib', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_study_has_every_recipe_at_every_hook_of_every_model_with_every_seed():
    section = {
        "models": ["m", "n"], "hooks": ["resid_post.0"], "saes": ["a", "b"], "seeds": [0, 1],
        "train_on": {"dataset": "d", "packing": "p"},
    }  # fmt: skip
    rows = list(every_sae({}, section))
    assert len(rows) == 8 and rows[0] == {
        "model": "m", "dataset": "d", "packing": "p", "hook": "resid_post.0", "sae": "a", "seed": 0,
    }  # fmt: skip


def test_tables_of_metrics_read_the_measures_of_their_metrics():
    table = metrics_table("l0", "delta_ce", "fvu", reads=("sae",), facts=("architecture",))
    assert table.reads == ("reconstruction", "language", "sae")
    assert table.metrics == ("l0", "delta_ce", "fvu") and table.resampled
    assert table.options == {"facts": ("architecture",)}
    assert paired_table("language_change").reads == ("language",)


def test_bars_show_the_label_of_their_metric_or_their_own():
    common = {"title": "A title", "caption": "Words."}
    assert bars("l0", **common).labels == ("l0",)
    assert bars("probe_change", "probe_loss_change", **common).labels == ("probe_loss_change",)
    other = bars("closed_form", "excess", label="Excess", **common)
    assert other.labels == () and other.options["label"] == "Excess"


def test_a_study_needs_no_more_than_words_tables_and_figures():
    study = Study("T", "I", {"t": Table("m:f")}, {})
    assert (study.key_figure, study.summary, study.section, study.automatic) == ("", "", "", None)
