"""Figures of facts: what stands where, and that it can be read in any study."""

from functools import lru_cache

import numpy as np
import pytest

import made_up_facts as made_up
import made_up_study
from readable import faults, keep
from saeflow.metrics.registry import metrics_of
from saeflow.studies.classification.facts import FIGURES, TABLES
from saeflow.studies.classification.facts.figures import (
    beside_shuffled,
    captured_by_layer,
    f1_distribution,
    splitting_by_width,
)
from saeflow.studies.classification.facts.looks import looks_of, named
from saeflow.studies.classification.facts.maps import facts_by_hook
from saeflow.studies.classification.facts.splitting import splitting
from saeflow.studies.classification.facts.summary import known
from saeflow.studies.classification.facts.tables import captured, facts
from saeflow.studies.study import Study

METRICS = tuple(metrics_of("facts"))
MANY = tuple(f"topk-{8 * 2**i}" for i in range(8))
STUDY = Study("", "", TABLES, FIGURES)


@lru_cache
def tables(n_hooks=4, saes=("topk-32",), n_seeds=1):
    runs = made_up.grid(n_hooks, saes, n_seeds)
    given = {"metrics": METRICS, "bootstrap": 100, "seed": 0}
    return facts(runs, **given), captured(runs, **given)


def test_each_line_is_an_sae_and_strokes_are_probes():
    _, table = tables()
    drawing = captured_by_layer(table)
    ax = drawing.figure.axes[1]
    own = table[table["kind"] == "role"]
    looks = looks_of(named(own))
    assert list(looks) == ["topk-32", "single neurons", "principal components", "random directions"]
    for name, sae in (("topk-32", "topk-32"), ("single neurons", "neurons")):
        (line,) = [one for one in ax.lines if one.get_color() == looks[name].colour]
        expected = own[own["sae"] == sae].sort_values("block")["captured"]
        np.testing.assert_allclose(line.get_ydata(), expected)
    titles = [ax.get_title(loc="left") for ax in drawing.figure.axes]
    assert titles[1] == "role facts (13)" and titles[3] == "all facts (40)"


def test_maps_show_what_the_table_has_and_what_is_left_out_is_said():
    table, _ = tables(1, MANY)
    drawing = facts_by_hook(table)
    assert any("of 8 SAEs, spread over L0" in note for note in drawing.notes)
    titles = [ax.get_title(loc="left").replace("\\n", " ") for ax in drawing.figure.axes]
    assert {"topk-8", "topk-1024", "single neurons", "linear probe"} <= set(titles)
    ax = drawing.figure.axes[titles.index("topk-8")]
    own = table[(table["sae"] == "topk-8") & (table["kind"] == "lexical")]
    expected = own.pivot(index="fact", columns="block", values="fact_f1")
    expected = expected.loc[own["fact"].unique()]
    np.testing.assert_allclose(ax.images[0].get_array(), expected)


def test_curves_count_facts_of_at_least_an_f1():
    table, _ = tables(n_hooks=1)
    drawing = f1_distribution(table)
    assert not any("Shown is" in note for note in drawing.notes)
    ax = drawing.figure.axes[2]
    colour = looks_of(named(table))["topk-32"].colour
    (line,) = [one for one in ax.lines if one.get_color() == colour]
    values = table[(table["sae"] == "topk-32") & (table["kind"] == "context")]["fact_f1"]
    x, y = line.get_data()
    for border in (0.3, 0.5, 0.7):
        at = np.searchsorted(x, border)  # a step holds up to its own value
        assert y[at] == (values >= border).sum()


def test_the_sae_that_tells_most_is_taken_apart():
    table, _ = tables(2, ("topk-8", "topk-32"), 3)
    drawing = splitting(table)
    rows = drawing.rows
    assert len(rows) == 40 and rows["sae"].nunique() == rows["hook"].nunique() == 1
    means = table[table["baseline"] == ""].groupby(["hook", "sae"])["fact_f1"].mean()
    assert means.idxmax() == (rows["hook"].iloc[0], rows["sae"].iloc[0])
    assert "of 3 seeds the first" in drawing.notes[0]
    labels = [text.get_text() for ax in drawing.figure.axes for text in ax.texts]
    assert labels == [str(n) for n in rows["n_latents"] if n > 1]


def test_shuffled_models_are_lines_of_their_own_and_probes_those_of_the_real_one():
    runs = made_up.grid(n_hooks=1, models=("world-s", "noise"))
    runs = [run for run in runs if run.key.sae == "topk-32"]
    given = {"metrics": METRICS, "bootstrap": 100, "seed": 0, "shuffled": {"noise": "world-s"}}
    table = captured(runs, **given)
    drawing = captured_by_layer(beside_shuffled(table))
    assert set(drawing.rows["sae"]) == {"topk-32", "topk-32, noise"}
    real = table[(table["kind"] == "all") & (table["model"] == "world-s")]["captured_probe"]
    strokes = drawing.figure.axes[3].collections[-1].get_segments()
    assert [segment[0, 1] for segment in strokes] == real.tolist()


def test_widths_have_one_scale_for_all_hooks():
    _, table = tables(saes=("topk-8", "topk-32"))
    drawing = splitting_by_width(table[table["kind"] == "all"])
    own = drawing.rows
    for level, value in enumerate(("n_latents", "fact_absorption_high")):
        ends = {ax.get_ylim() for ax in drawing.figure.axes[level * 4 : level * 4 + 4]}
        assert len(ends) == 1 and next(iter(ends))[1] > own[value].max()


def test_what_is_found_is_said():
    _, table = tables()
    every = table[table["kind"] == "all"]
    best = every.loc[every[every["baseline"] == ""]["fact_f1"].idxmax()]
    text = " ".join(known({"facts_captured": table}))
    assert (
        f"Of 40 facts known of the world's tokens, single latents of topk-32 at {best['hook']}"
        in text
    )
    assert f"capture {best['captured']:.0f} (F1 above 0.7" in text
    assert "At any hook, at most: single neurons" in text
    roles = table[(table["kind"] == "role") & (table["sae"] == "topk-32")]
    roles = roles[roles["hook"] == best["hook"]]["fact_f1"].item()
    verdict = "meets" if roles > 0.7 else "misses"
    assert f"over role facts is {roles:.2f}" in text and verdict in text
    assert not list(known({}))


@pytest.mark.parametrize(
    ("n_hooks", "n_saes", "n_seeds"),
    [
        *((1, 1, 1), (1, 8, 1)),
        *(
            pytest.param(*shape, marks=pytest.mark.slow)
            for shape in ((1, 8, 3), (4, 8, 1), (24, 1, 1), (24, 8, 1))
        ),
    ],
)
def test_figures_can_be_read(n_hooks, n_saes, n_seeds):
    by_fact, by_sae = tables(n_hooks, MANY[:n_saes], n_seeds)
    for name, figure in FIGURES.items():
        if name == "facts_on_shuffled":
            continue
        table = by_fact if figure.table == "facts" else by_sae
        drawing = made_up_study.drawing(STUDY, name, table)
        assert faults(drawing.figure) == [], name
        keep(drawing.figure, f"{n_hooks}-hooks-{n_saes}-saes-{n_seeds}-seeds", name)
