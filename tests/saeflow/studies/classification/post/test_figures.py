"""Every figure of the post, for studies of many shapes: what is drawn can be read and is true."""

import numpy as np
import pytest

import made_up_codes as made
from readable import faults, keep
from saeflow.metrics.registry import metrics_of
from saeflow.registry import function
from saeflow.studies.classification.post import FIGURES
from saeflow.studies.classification.post.figures import beside_saes, of_several
from saeflow.studies.classification.post.tables import in_domain, probed, probes
from saeflow.tables.files import read_csv, write_csv

DOMAIN = {"dataset": "domain", "packing": "p"}


def hooks(n, *sites):
    return [f"{site}.{block}" for block in range(n) for site in sites or ("resid_post",)]


FEW = {
    "four": {"hooks": hooks(4), "poolings": ("last", "mean", "max", "concept")},
    "one": {"hooks": hooks(1), "recipes": ("topk-8",), "n_tasks": 1},
}
MANY = {
    "deep": {"hooks": hooks(24), "n_seeds": 3},
    "sites": {"hooks": hooks(2, "mlp_out", "resid_post"), "labelled": ("texts", "others")},
    "tasks": {"hooks": hooks(2), "n_tasks": 40, "models": ("small", "large")},
}


@pytest.fixture(
    scope="module",
    params=[*FEW, *(pytest.param(name, marks=pytest.mark.slow) for name in MANY)],
)
def tables(request, tmp_path_factory):
    """The tables of a study by name, and the study's name."""
    runs = made.runs(places=("general", "domain"), **(FEW | MANY)[request.param])
    general = [run for run in runs if run.key.dataset != "domain"]
    errors = metrics_of("sparse_probes")
    made_of = {
        "probes": probes(general, bootstrap=50, seed=0),
        "probed_tokens": probed(general, metrics=errors, bootstrap=50, seed=0),
        "in_domain": in_domain(runs, domain=DOMAIN, bootstrap=50, seed=0),
    }
    root = tmp_path_factory.mktemp("tables")
    for name, table in made_of.items():  # as figures get them
        write_csv(table, root / name)
    return {name: read_csv(root / name) for name in made_of}, request.param


def drawn(tables, name):
    figure = FIGURES[name]
    drawing = function(figure.draw)(tables[0][figure.table], **figure.options)
    keep(drawing.figure, tables[1], name)
    return drawing


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_can_be_read(tables, name):
    drawing = drawn(tables, name)
    assert faults(drawing.figure) == []
    assert len(drawing.rows)
    wanted = set(tables[0][FIGURES[name].table].columns)
    assert set(drawing.rows.columns) <= wanted
    n_seeds = drawing.rows["seed"].nunique()
    said = " ".join(drawing.notes)
    assert ("means over" in said and "seeds" in said) == (n_seeds > 1 and name != "as_published")


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_lines_go_through_the_numbers_of_the_table(tables):
    table, shape = tables[0]["probes"], tables[1]
    if shape != "four":
        pytest.skip("one shape is enough")
    drawing = drawn(tables, "accuracy_by_layer")
    ax = next(ax for ax in drawing.figure.axes if ax.get_title(loc="left") == "topk-8")
    kept = table[(table["probe"] == "published") & (table["setting"] == "normal")]
    kept = kept[kept["pooling"] == "last"].sort_values("block")
    heights = [np.round(line.get_ydata(), 9).tolist() for line in ax.get_lines()]
    for sae, given in (("", "states"), ("topk-8", "codes")):
        own = kept[(kept["sae"].fillna("") == sae) & (kept["input"] == given)]
        for column in ("accuracy", "train_accuracy"):
            assert np.round(own[column].to_numpy(float), 9).tolist() in heights, (given, column)


def test_states_stand_in_the_panel_of_each_recipe(tables):
    table = of_several(tables[0]["probes"])
    found = beside_saes(table)
    n_hooks = int((table["sae"] == "").sum())
    assert (found["sae"] != "").all()
    assert len(found) == len(table) - n_hooks + n_hooks * table[table["sae"] != ""]["sae"].nunique()


def test_the_look_of_the_post_has_one_sae_and_says_which(tables):
    drawing = drawn(tables, "as_published")
    assert drawing.rows.loc[drawing.rows["sae"] != "", "sae"].nunique() == 1
    several = tables[0]["probes"]["sae"].nunique() > 1
    assert any("first of" in note for note in drawing.notes) == several
    for ax in drawing.figure.axes:
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Original", "Encoded"]


def test_hooks_without_saes_have_no_panel_of_few_features(tables):
    table, name = of_several(tables[0]["probes"]), "k_sparse"
    without = table[~((table["hook"] == table["hook"].iloc[0]) & (table["sae"] != ""))]
    if without[without["sae"] != ""].empty:
        pytest.skip("one hook")
    drawing = function(FIGURES[name].draw)(without)
    assert table["hook"].iloc[0] not in set(drawing.rows["hook"])
