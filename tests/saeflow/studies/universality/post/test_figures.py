"""Every figure of the post of similarities, for studies of many shapes: readable, and true."""

import numpy as np
import pandas as pd
import pytest

import made_up_pairs as made
from made_up_study import record
from readable import faults, keep
from saeflow.errors import DataError
from saeflow.registry import function
from saeflow.studies.universality.pairs.tables import BACKWARD, FORWARD, similarities
from saeflow.studies.universality.post import FIGURES, TABLES
from saeflow.studies.universality.post.directed import against_widest, directed, of_one_size
from saeflow.studies.universality.post.maps import between_expansions
from saeflow.studies.universality.post.trainings import by_layer
from saeflow.studies.universality.post.widths import by_width
from saeflow.tables.builders import metrics_table
from saeflow.tables.files import read_csv, write_csv
from saeflow.tables.runs import Key, Run

OF_PAIRS = [name for name, figure in FIGURES.items() if figure.table == "similarities"]


def hooks(n):
    return [f"mlp_out.{i}" for i in range(n)]


def ratios(n, n_hooks, **more):
    return {
        "vary": ["sae"], "saes": [f"topk-x{2**i}" for i in range(n)], "hooks": hooks(n_hooks)
    } | more  # fmt: skip


SHAPES = {
    "few": {
        "ratios": ratios(4, 2),
        "models": {"vary": ["model"], "models": ["small", "large"]},
        "checkpoints": {"vary": ["model"], "models": ["small", "small@64"], "hooks": hooks(2)},
    },
    "least": {
        "ratios": ratios(2, 1), "models": {"vary": ["model"], "models": ["small", "large"]},
    },
    "many": {
        "ratios": ratios(6, 2, seeds=[0, 1, 2], models=["small", "large"], against="topk-x32"),
        "models": {
            "vary": ["model"], "models": ["small", "small-deduped", "large", "a-long-name-of-one"],
            "hooks": hooks(6), "saes": ["topk-x4", "relu-x4"],
        },
        "deep": {"vary": ["model"], "models": ["small", "other"], "hooks": hooks(24)},
    },
}  # fmt: skip


@pytest.fixture(
    scope="module", params=["few", "least", pytest.param("many", marks=pytest.mark.slow)]
)
def table(request, tmp_path_factory):
    study = made.study(SHAPES[request.param])
    found = similarities(study.runs, **study.given, metrics=["mean_max", "above_07"])
    wrong = found[found["quantity"] == "correlation"].assign(quantity="uncentred")
    found = pd.concat([found, wrong.assign(value=0.5 + wrong["value"] / 2)])
    found["null_uniform"] = found["null_gaussian"] / 2
    path = tmp_path_factory.mktemp("tables") / f"{request.param}.csv"
    write_csv(found, path)  # as figures get them
    return read_csv(path), request.param


@pytest.mark.parametrize("name", OF_PAIRS)
def test_a_figure_can_be_read(table, name):
    drawing = function(FIGURES[name].draw)(table[0])
    keep(drawing.figure, table[1], name)
    assert faults(drawing.figure) == []
    assert set(drawing.rows.columns) == set(table[0].columns) and len(drawing.rows)
    assert set(drawing.rows["statistic"]) == {"mean_max"}


def test_each_pair_is_there_once_in_each_direction(table):
    rows = directed(table[0], "expansion")
    assert not rows.duplicated(
        ["own_model", "own_hook", "own_sae", "own_seed", "other_sae", "quantity"]
    ).any()
    one = rows.iloc[0]
    back = table[0].loc[rows.index[0]]
    first, second = ("own", "other") if back["direction"] == FORWARD else ("other", "own")
    assert (one[f"{first}_sae"], one[f"{second}_sae"]) == (back["first_sae"], back["second_sae"])
    assert set(table[0]["direction"]) == {FORWARD, BACKWARD}


def test_the_widest_of_a_hook_is_one_of_each_pair(table):
    rows = against_widest(table[0])
    widest = {"few": 8, "least": 2, "many": 32}[table[1]]
    assert set(rows["widest"]) == {widest}
    assert (rows["expansion"] < widest).all()
    for way, row in rows.drop_duplicates("way").set_index("way").iterrows():
        assert (row["own_expansion"] < row["other_expansion"]) == (way == "small in large")


def test_trainings_of_one_size_are_those_of_one_width(table):
    rows = of_one_size(table[0], "model", "checkpoint")
    models = {
        tuple(sorted(both)) for both in zip(rows["own_model"], rows["other_model"], strict=True)
    }
    narrow = ["a-long-name-of-one", "small", "small-deduped"]
    assert models == {
        "few": {("small", "small@64")}, "least": set(),
        "many": {(a, b) for a in narrow for b in narrow if a < b} | {("other", "small")},
    }[table[1]]  # fmt: skip


def test_cells_have_the_numbers_of_the_table(table):
    rows = directed(table[0], "expansion")
    rows = rows[(rows["quantity"] == "cosine") & (rows["own_model"] == "small")]
    rows = rows[(rows["own_hook"] == "mlp_out.0") & (rows["own_expansion"] == 1)]
    (ax, *_) = between_expansions(table[0]).figure.axes
    written = {text.get_text() for text in ax.texts}
    widest = rows[rows["other_expansion"] == rows["other_expansion"].max()]
    assert f"{widest['value'].mean():.3f}" in written
    nulls = ["null_gaussian", "null_columns", "null_layer", "null_random", "null_model"]
    assert f"({widest[nulls].max(axis=1).mean():.3f})" in written


def test_bars_are_means_of_both_directions_and_say_where_there_is_no_mcs(table):
    drawing = by_layer(table[0])
    assert any("there is no MCS" in note for note in drawing.notes) == (table[1] == "least")
    if table[1] != "few":
        return
    rows = of_one_size(table[0], "checkpoint")
    rows = rows[(rows["quantity"] == "cosine") & (rows["own_hook"] == "mlp_out.0")]
    assert drawing.figure.axes[0].patches[0].get_height() == pytest.approx(rows["value"].mean())


def test_lines_go_through_the_values_of_smaller_saes(table):
    rows = against_widest(table[0])
    rows = rows[(rows["quantity"] == "cosine") & (rows["way"] == "small in large")]
    rows = rows[(rows["own_hook"] == "mlp_out.0") & (rows["own_model"] == "small")]
    wanted = rows.groupby("expansion")["value"].mean()
    figure = by_width(table[0]).figure
    lines = [line.get_ydata() for ax in figure.axes for line in ax.lines]
    assert any(len(y) == len(wanted) and np.allclose(y, wanted) for y in lines)


@pytest.mark.parametrize("name", [name for name in OF_PAIRS if name != "as_published"])
def test_a_figure_of_pairs_that_were_not_measured_says_so(name):
    study = made.study({"seeds": {"vary": ["seed"], "seeds": [0, 1]}})
    table = similarities(study.runs, **study.given, metrics=["mean_max"])
    with pytest.raises(DataError, match="none was measured"):
        function(FIGURES[name].draw)(table)


@pytest.mark.parametrize("n_hooks", [1, 4, 24])
def test_perplexities_can_be_read(n_hooks):
    runs = []
    for block in range(n_hooks):
        own = {"document": range(20), "predictions": 10.0, "kl": 0.1}
        own |= {"ce_clean": 32.0, "ce_sae": 34.0 + 0.1 * block, "ce_mean": 40.0, "ce_zero": 50.0}
        key = Key("m", "d", "p", f"mlp_out.{block}", "relu", 0, eval_dataset="d", eval_packing="p")
        runs.append(Run(key, {"language": record(documents=pd.DataFrame(own))}))
    own = TABLES["perplexity"]
    table = metrics_table(runs, metrics=own.metrics, bootstrap=20, seed=0)
    drawing = function(FIGURES["perplexity_by_layer"].draw)(table)
    assert faults(drawing.figure) == []
    assert len(drawing.rows) == n_hooks
    clean = [line for line in drawing.figure.axes[0].lines if len(line.get_ydata()) == n_hooks]
    heights = sorted(line.get_ydata()[0] for line in clean)
    assert heights == pytest.approx(np.exp([3.2, 3.4, 4.0]))
