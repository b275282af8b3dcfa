"""Figures of what errors do in later layers, for studies of many shapes.

``SAEFLOW_FIGURES=DIRECTORY`` leaves them in a directory.
"""

import numpy as np
import pandas as pd
import pytest

import made_up_study
from readable import faults, keep
from saeflow.errors import DataError
from saeflow.metrics.propagation import CHAIN, FULL, QUANTITIES, WAYS
from saeflow.models.propagate import FREEZING
from saeflow.studies.reconstruction import STUDY, propagation

SHAPES = [(2, 1, 1, False), (4, 3, 1, False), (5, 3, 3, True)]
MANY = [(24, 1, 1, False), (24, 3, 3, False), (12, 12, 1, False), (24, 3, 1, True)]
RECIPES = [f"topk-{2**i}" for i in range(1, 13)]


def study(n_hooks, n_recipes, n_seeds, mixed):
    """Return both tables: errors that grow with the distance, less the better the SAE."""
    rng = np.random.default_rng(0)
    sites = ("resid_post", "mlp_out") if mixed else ("resid_post",)
    keys = [
        {
            "model": "m", "hook": f"{site}.{block}", "site": site, "block": block,
            "sae": sae, "seed": seed, "method": "original",
        }
        for site in sites for block in range(n_hooks) for sae in RECIPES[:n_recipes]
        for seed in range(n_seeds)
    ]  # fmt: skip
    extent = {"n_tokens": 1000, "n_documents": 40}
    pairs, ways = [], []
    for key in keys:
        if key["block"] < n_hooks - 1:
            for number, way in enumerate(("full", "direct", *FREEZING, CHAIN)):
                value = 0.1 * (1 + number) * rng.uniform(0.8, 1.2)
                ends = {"delta_ce_low": value - 0.02, "delta_ce_high": value + 0.02}
                ways.append({**key, "way": way, **extent, "delta_ce": value, **ends})
        for other in keys:
            if other["block"] <= key["block"] or other["seed"] != key["seed"]:
                continue
            fvu = 0.5 / (1 + RECIPES.index(other["sae"]))
            for quantity in QUANTITIES:
                for way in WAYS:
                    change = (other["block"] - key["block"]) * rng.normal(0.05, 0.03)
                    change *= 1.0 if way == FULL else 0.3
                    pairs.append(
                        {
                            **key, "later_hook": other["hook"], "later_block": other["block"],
                            "later_sae": other["sae"], "later_l0": int(other["sae"][5:]),
                            "later_fvu": fvu, "quantity": quantity, "way": way, **extent,
                            "change": change, "change_low": change - 0.02,
                            "change_high": change + 0.02, "mean_change": 2 * change,
                            "mean_change_low": 2 * change - 0.1,
                            "mean_change_high": 2 * change + 0.1, "median_change": change / 2,
                            "published_change": change + 3 if way == FULL else np.nan,
                            "clean": fvu, "changed": fvu * (1 + change), "left_out": 0,
                        }
                    )  # fmt: skip
    return {"propagation": pd.DataFrame(pairs), "propagation_split": pd.DataFrame(ways)}


@pytest.fixture(
    scope="module",
    params=[*SHAPES, *(pytest.param(shape, marks=pytest.mark.slow) for shape in MANY)],
    ids=lambda shape: "{}-hooks-{}-recipes-{}-seeds-mixed-{}".format(*shape),
)
def drawings(request):
    tables = study(*request.param)
    found = {
        name: made_up_study.drawing(STUDY, name, tables[figure.table])
        for name, figure in propagation.FIGURES.items()
    }
    for name, drawing in found.items():
        keep(drawing.figure, "-".join(map(str, request.param)), name)
    return found, request.param, tables


def test_every_figure_can_be_read(drawings):
    found = {name: faults(drawing.figure) for name, drawing in drawings[0].items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_a_map_has_the_table_in_its_cells_and_nothing_below_the_diagonal(drawings):
    found, (n_hooks, *_), tables = drawings
    drawing, table = found["propagation_maps"], tables["propagation"]
    ax = drawing.figure.axes[0]
    quantity, recipe = ax.get_title(loc="left").split(", ")[:2]
    image = ax.images[0].get_array()
    table = table[(table["sae"] == recipe) & (table["later_sae"] == recipe)]
    table = table[(table["way"] == FULL) & (table["quantity"] == quantity.replace(" ", "_"))]
    site = table["site"].iloc[0] if table["site"].nunique() == 1 else "mlp_out"
    table = table[(table["site"] == site) & table["later_hook"].str.startswith(site)]
    means = table.groupby(["later_block", "block"])["change"].mean()
    assert image.shape == (n_hooks - 1, n_hooks - 1)
    for row in range(n_hooks - 1):
        for column in range(n_hooks - 1):
            if column <= row:
                assert image[row, column] == pytest.approx(means[row + 1, column])
            else:
                assert np.ma.is_masked(image[row, column]) or np.isnan(image[row, column])


def test_scales_of_maps_are_symmetric_and_shared_where_maps_are_compared(drawings):
    for name in ("propagation_maps", "propagation_ways", "propagation_averages"):
        ends = {}
        for ax in drawings[0][name].figure.axes:
            for image in ax.images:
                low, high = image.get_clim()
                assert low == -high
                ends.setdefault(ax.get_title(loc="left").split(",")[0], set()).add(high)
        n_scales = {len(own) for own in ends.values()}
        assert (n_scales == {1}) == (name != "propagation_averages"), name


def test_notes_say_what_is_left_out(drawings):
    found, (_, n_recipes, n_seeds, _), _ = drawings
    notes = " ".join(found["propagation_maps"].notes)
    assert ("Cells are means over" in notes) == (n_seeds > 1)
    if n_recipes > 4:
        assert "4 of 12 recipes" in notes
        assert "3 of 12 recipes" in " ".join(found["propagation_by_recipe"].notes)


def test_without_long_contexts_the_published_maps_are_missing_and_that_is_said():
    table = study(4, 1, 1, mixed=False)["propagation"].assign(published_change=np.nan)
    drawing = made_up_study.drawing(STUDY, "propagation_averages", table)
    assert len([ax for ax in drawing.figure.axes if ax.images]) == 9
    assert "published" in " ".join(drawing.notes)


def test_sites_without_a_like_after_them_are_an_error_that_says_so():
    table = study(2, 1, 1, mixed=True)["propagation"]
    sites = table["later_hook"].str.partition(".")[0]
    with pytest.raises(DataError, match="one recipe at one site"):
        made_up_study.drawing(STUDY, "propagation_maps", table[table["site"] != sites])
