"""Figures of features for studies of several shapes: what is drawn can be read and is true."""

import numpy as np
import pandas as pd
import pytest

import made_up_features as made_up
from readable import faults
from saeflow.registry import function
from saeflow.studies.reconstruction import features
from saeflow.studies.reconstruction.features import scored, tables
from saeflow.studies.reconstruction.features.concordance import concordance
from saeflow.studies.reconstruction.features.histograms import histograms

SHAPES = {
    "usual": (["resid_post.0", "resid_post.1", "resid_post.2", "resid_post.3"], ["topk-8"], 1),
    "one": (["resid_post.1"], ["topk-8"], 1),
    "several": (["resid_post.0", "resid_post.1"], ["topk-8", "relu-weak", "gated"], 3),
}
_OF_SETS = ("lambada", "cbt")


def made(name, shape, sets=("lambada",)):
    figure = features.FIGURES[name]
    runs = made_up.runs(*shape, sets)
    spec = features.TABLES[figure.table]
    options = {"bootstrap": 100, "seed": 0} if spec.resampled else {}
    table = function(spec.build)(runs, **options)
    if figure.select:
        table = function(figure.select)(table)
    return function(figure.draw)(table, **figure.options)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [n for n in features.FIGURES if n != "feature_words"])
def test_figures_can_be_read(name, shape):
    assert faults(made(name, SHAPES[shape]).figure) == []


def test_a_histogram_has_panels_of_each_prompt_set():
    drawing = made("feature_hist", SHAPES["one"], _OF_SETS)
    titles = [ax.get_title(loc="left") for ax in drawing.figure.axes]
    assert titles == [
        "topk-8: mean change, cbt", "topk-8: score, cbt",
        "topk-8: mean change, lambada", "topk-8: score, lambada",
    ]  # fmt: skip
    assert faults(drawing.figure) == []


def test_bars_of_a_histogram_are_as_high_as_the_table_says():
    table = scored.feature_scores(made_up.runs(["resid_post.1"]))
    ax = histograms(table).figure.axes[1]
    (stairs, _) = [p for p in ax.patches if hasattr(p, "get_data")]
    values, edges, _ = stairs.get_data()
    score = table[table["quantity"] == "score"].set_index("low")["n_features"]
    drawn = {low: n for low, n in zip(edges[:-1], values, strict=True) if n >= 1}
    assert drawn == score.to_dict()


def test_words_lie_apart_and_the_token_follows_its_text():
    drawing = made("feature_words", SHAPES["usual"])
    said = faults(drawing.figure)
    assert not [fault for fault in said if "lies upon" in fault or "leaves" in fault]
    bold = [t for t in drawing.figure.axes[0].texts if t.get_weight() == "bold"]
    assert len(bold) == len(drawing.rows) and "5 worst" in drawing.notes[0]


def test_what_looks_like_a_formula_is_a_word():
    table = tables.features(made_up.runs(["resid_post.1"]))
    table = table.assign(token=" $x_{1", raised="a_b $ ^ \\frac{")
    assert not [f for f in faults(concordance(table).figure) if "lies upon" in f]


def test_many_hooks_are_shown_in_part_and_that_is_said():
    hooks = [f"resid_post.{i}" for i in range(24)]
    table = tables.features(made_up.runs(hooks[:1]))
    parts = [table.assign(hook=h, block=i) for i, h in enumerate(hooks)]
    drawing = concordance(pd.concat([p.assign(sae=s) for p in parts for s in "ab"]))
    assert "of 24 hooks" in " ".join(drawing.notes)
    assert drawing.figure.get_figheight() < 40


def test_every_effect_is_within_its_axis():
    drawing = made("cause_and_correlation", SHAPES["usual"])
    for ax in drawing.figure.axes:
        low, high = ax.get_ylim()
        for container in ax.containers:
            y = np.asarray(container.lines[0].get_ydata())
            assert ((low <= y) & (y <= high)).all()
