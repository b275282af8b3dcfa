"""Every figure of every study, for studies of many shapes: what is drawn can be read and is true.

Whether a figure is good one has to see: ``SAEFLOW_FIGURES=DIRECTORY pytest -m "" tests/saeflow/
figures/test_every_figure.py`` leaves all of them in a directory.
"""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import made_up_grid as grid
import made_up_study
from readable import faults, labels
from saeflow.figures.axes import MARGIN, arms
from saeflow.figures.save import save_figure
from saeflow.hooks import PATTERN, Hook
from saeflow.studies.models import STUDY as MODELS
from saeflow.studies.suppression import STUDY
from saeflow.studies.suppression.theory import learned_activation, theory
from saeflow.tables.facts import extent

SEEN = os.environ.get("SAEFLOW_FIGURES")
OF_GRID = [name for name, figure in STUDY.figures.items() if figure.table != "theory"]
# hooks, sites mixed, seeds, recipes
FEW = [(5, False, 2, 3)]
MANY = [
    (n_hooks, mixed, n_seeds, n_recipes)
    for n_hooks in (1, 3, 5, 24)
    for mixed in (False, True)
    for n_seeds in (1, 5)
    for n_recipes in (1, 12)
    if n_hooks > 1 or not mixed
]


def seen(drawing, name, shape):
    if SEEN:
        folder = Path(SEEN) / "-".join(map(str, shape))
        folder.mkdir(parents=True, exist_ok=True)
        save_figure(drawing.figure, folder / name)


@pytest.fixture(
    scope="module",
    params=[*FEW, *(pytest.param(shape, marks=pytest.mark.slow) for shape in MANY)],
    ids=lambda shape: "{}-hooks-mixed-{}-{}-seeds-{}-recipes".format(*shape),
)
def drawings(request):
    """The drawings of the suppression study by name, and the study's shape."""
    n_hooks, mixed, n_seeds, n_recipes = request.param
    runs = grid.runs(grid.hooks(n_hooks, mixed=mixed), n_seeds, list(grid.RECIPES)[:n_recipes])
    tables = {}
    found = {}
    for name in OF_GRID:
        table = STUDY.figures[name].table
        if table not in tables:
            tables[table] = made_up_study.table(STUDY, table, runs)
        found[name] = made_up_study.drawing(STUDY, name, tables[table])
        seen(found[name], name, request.param)
    return found, request.param


def test_texts_lie_apart_within_the_figure_and_every_panel_has_content_and_ticks(drawings):
    found = {name: faults(drawing.figure) for name, drawing in drawings[0].items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_panels_of_hooks_stand_in_the_order_of_the_model(drawings):
    for name, drawing in drawings[0].items():
        groups = {}
        for ax in drawing.figure.axes:
            title = ax.get_title(loc="left").replace("\n", " ")
            if ax.get_visible() and (hook := re.search(PATTERN, title)):
                others = title.replace(hook[0], "")
                groups.setdefault(others, []).append(Hook.parse(hook[0]))
        for hooks in groups.values():
            assert hooks == sorted(hooks), name


def test_layers_of_a_panel_are_those_of_one_site_in_their_order(drawings):
    found, (n_hooks, mixed, _, _) = drawings
    for name in ("l2_ratio_by_layer", "l0_by_method", "mse_reduction_by_method", "correlations"):
        for ax in found[name].figure.axes:
            if ax.get_visible():
                blocks = [int(text.get_text()) for text in ax.get_xticklabels()]
                assert blocks == sorted(set(blocks)), name
                assert ("resid_post" in ax.get_xlabel()) <= (not mixed)
                low, high = ax.get_xlim()
                assert round(high - low - 0.2) == (-(-n_hooks // 3) if mixed else n_hooks)


def test_what_is_counted_under_a_figure_is_what_is_in_it(drawings):
    found, (_, _, n_seeds, _) = drawings
    with_points = ("frontier_fvu", "suppression_by_architecture", "l2_ratio_by_layer")
    for name, drawing in found.items():
        if "sae" not in drawing.rows:
            continue
        saes = drawing.rows[["model", "hook", "sae", "seed", "method"]].drop_duplicates()
        seeds = "1 seed" if n_seeds == 1 else f"{n_seeds} seeds"
        assert extent(drawing.rows).startswith(
            f"{len(saes):,} SAE{'' if len(saes) == 1 else 's'} ({seeds} of each)."
        ), name
        points = [c.lines[0].get_xdata() for ax in drawing.figure.axes for c in _errorbars(ax)]
        if name in with_points and points:
            n_values = 2 if name == "suppression_by_architecture" else 1
            assert sum(map(len, points)) == n_values * len(drawing.rows), name


def _errorbars(ax):
    return [c for c in ax.containers if hasattr(c, "has_yerr")]


def test_means_over_seeds_are_spoken_of_where_there_are_several(drawings):
    found, (_, _, n_seeds, _) = drawings
    for name, drawing in found.items():
        said = " ".join(drawing.notes)
        assert ("means over" in said) <= (n_seeds > 1), name
        if name.endswith("_by_layer") or name.endswith("_by_method"):
            assert ("means over" in said) == (n_seeds > 1), name


def test_no_interval_presses_what_is_precise_flat(drawings):
    """Of what an axis shows precise values and their base have a third at least."""
    for name, value, base in (
        ("perplexity_recovery_by_method", "perplexity_recovery", 0),
        ("mse_reduction_by_method", "mse_reduction", 0),
        ("l2_ratio_by_layer", "l2_ratio", 1),
    ):
        drawing = drawings[0][name]
        rows = drawing.rows
        width = arms(rows, value).sum(axis=0)
        below, above = arms(rows, value)
        precise = width <= 2 * np.quantile(width, 0.25)
        ends = [base, *(rows[value] - below)[precise], *(rows[value] + above)[precise]]
        low, high = drawing.figure.axes[0].get_ylim()
        shown = (high - low) / (1 + 2 * MARGIN)
        assert max(ends) - min(ends) > shown / 3, name


def test_every_recipe_is_named_in_every_panel_of_a_frontier(drawings):
    found, (_, _, _, n_recipes) = drawings
    for name in ("frontier_fvu", "frontier_delta_ce"):
        for ax in found[name].figure.axes:
            if ax.get_visible():
                names = {note.get_text().split("…")[0] for note in labels(ax)}
                assert len(names) == n_recipes
                assert all(any(r.startswith(n) for r in grid.RECIPES) for n in names)


def _toys():
    """Return a table of toys that do as is predicted."""
    rows = []
    for trained, bias in (("encoder", False), ("encoder and b_dec", True), ("everything", True)):
        for c in (0.02, 0.1):
            for p in (0.1, 0.3):
                for g in (1.0, 3.0, 6.0):
                    a = float(learned_activation(g, c, 32, p, bias=bias))
                    rows.append(("apart", trained, c, p, g, 0.0, 0.0, a))
    for trained in ("sizes", "encoder"):
        for overlap in (0.0, 0.2, 0.4):
            rows += [("interfering", trained, 0.1, 0.1, g, overlap, 0.0, g - 1) for g in (2.0, 6.0)]
    rows += [
        ("noise", "encoder", 0.1, 0.1, g, 0.0, n, 2 / (1 + n)) for g in (3.0, 6.0) for n in (0, 0.5)
    ]
    columns = ["experiment", "trained", "c", "p", "g", "overlap", "noise", "simulated"]
    return pd.DataFrame(rows, columns=columns).assign(
        d=32, quantity="activation", predicted=lambda table: table["simulated"]
    )


def test_the_figure_of_the_theory_can_be_read():
    drawing = made_up_study.drawing(STUDY, "theory", theory(_toys()))
    seen(drawing, "theory", ["theory"])
    assert faults(drawing.figure) == []


@pytest.mark.parametrize("n_models", [1, 3])
def test_the_figure_of_the_language_models_can_be_read(n_models):
    models = ("world-s", "world-xs@100", "a-model-with-a-long-name")[:n_models]
    table = made_up_study.table(MODELS, "language_model", made_up_study.benchmarks(models))
    drawing = made_up_study.drawing(MODELS, "language_model", table)
    seen(drawing, "language_model", [n_models, "models"])
    assert faults(drawing.figure) == []
