"""Whether a better SAE suffers less: the layer that is hurt most, by the recipe of its SAE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from saeflow.figures.axes import arms, few_ticks, log_ticks, name_axis
from saeflow.figures.curves import block_colours
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_recipe, spread
from saeflow.figures.style import GUIDE, INK, use_style
from saeflow.metrics.propagation import FULL

_MOST_PANELS, _MOST_LINES = 3, 6
_NAME, _MOST_WIDE = 0.72, 4.4  # inches of a recipe's place where its L0 fits, and of a panel
_CLEAN = {"color": INK, "marker": "_", "markersize": 9, "linestyle": "", "label": "clean run"}


def by_later_recipe(table: pd.DataFrame) -> Drawing:
    """Draw what the layer that is hurt most suffers, against the recipe of the SAE there.

    Parameters
    ----------
    table
        That of `saeflow.studies.reconstruction.propagation.tables.propagation`.

    Notes
    -----
    A panel per recipe of the earlier SAEs, a line per layer that they are put in at. Above the
    change of the mean squared error, below that error itself, in the clean run too.
    """
    table, odd = finite(_worst(table), ["change", "clean", "changed"])
    names, recipes = _names(table), list(dict.fromkeys(table["sae"]))
    blocks = sorted(table["block"].unique())
    rows = table[
        table["sae"].isin(spread(recipes, _MOST_PANELS))
        & table["block"].isin(spread(blocks, _MOST_LINES))
    ]
    with use_style():
        colours, places = block_colours(sorted(rows["block"].unique())), by_recipe(rows)
        width = min(max(1.6, _NAME * len(names)), _MOST_WIDE)
        grid = panel_grid(places, size=(width, 1.6), stacked=2)
        tall = 0.0
        for panel, place in zip(grid.panels, places, strict=True):
            for ax, value in zip(panel, ("change", "changed"), strict=True):
                tall = max(tall, name_axis(ax, list(names.values()), width - 0.15))
                _lines(ax, place.rows, value, list(names), colours)
            panel[0].axhline(0, **GUIDE)
            clean = place.rows.groupby("later_sae")["clean"].mean().reindex(list(names))
            panel[1].plot(range(len(names)), clean, **_CLEAN)
            panel[1].set_yscale("log")
        for above, below in grid.panels:
            few_ticks(above)
            log_ticks(below.yaxis)
        grid.add_below(tall)
        hook = rows["later_hook"].iloc[0]
        above, below = "Change of\nsquared error", "Squared error\nper token"
        grid.label(x=f"SAE looked at ({hook})", y=[above, below])
        look = {"marker": "o", "markersize": 2.5}
        handles = [
            Line2D([], [], color=colour, label=f"put in at block {block}", **look)
            for block, colour in colours.items()
        ]
        legend_above(grid.figure, [*handles, Line2D([], [], **_CLEAN)])
    return Drawing(grid.figure, rows, (*odd, *_notes(rows, len(recipes), len(blocks))))


def _worst(table: pd.DataFrame) -> pd.DataFrame:
    """Return the squared error at the later hook where it grows most, over all earlier SAEs."""
    table = table[(table["way"] == FULL) & (table["quantity"] == "squared_error")]
    # of one recipe before and after, as in the maps; with another recipe it is another question
    alike = table[table["sae"] == table["later_sae"]]
    worst = alike.groupby("later_hook", sort=False)["change"].mean().idxmax()
    return table[table["later_hook"] == worst]


def _names(table: pd.DataFrame) -> dict[str, str]:
    """Return recipes of later SAEs, the worst reconstruction first, with what the axis says."""
    known = table.groupby("later_sae", sort=False)[["later_l0", "later_fvu"]].mean()
    known = known.sort_values("later_fvu", ascending=False)
    if _NAME * len(known) > _MOST_WIDE:
        return {str(name): str(name) for name in known.index}
    return {
        str(name): f"{name}\nL0 {row['later_l0']:.3g}\nFVU {row['later_fvu']:.2g}"
        for name, row in known.iterrows()
    }


def _lines(
    ax: Axes, rows: pd.DataFrame, value: str, names: Sequence[str], colours: Mapping[int, str]
) -> None:
    """Draw a line per earlier layer through the means over seeds, with each seed's interval."""
    shift = 0.3 / len(colours)
    for number, (block, colour) in enumerate(colours.items()):
        own = rows[rows["block"] == block]
        x = own["later_sae"].map(list(names).index) + (number - (len(colours) - 1) / 2) * shift
        mean = own[value].groupby(x).mean()
        ax.plot(mean, color=colour, linewidth=0.8, marker="o", markersize=2.5)
        if f"{value}_low" in own:
            low, high = arms(own, value)
            ax.vlines(x, own[value] - low, own[value] + high, color=colour, linewidth=0.6)


def _notes(rows: pd.DataFrame, n_recipes: int, n_blocks: int) -> tuple[str, ...]:
    hook, n_seeds = rows["later_hook"].iloc[0], rows["seed"].nunique()
    alike = rows[rows["sae"] == rows["later_sae"]]
    how = "grows most" if (alike["change"] > 0).any() else "shrinks least"
    notes = [f"Shown is {hook}, where the squared error {how}, on average over earlier layers."]
    if rows["sae"].nunique() < n_recipes:
        notes.append(f"Panels are {rows['sae'].nunique()} of {n_recipes} recipes of earlier SAEs.")
    if rows["block"].nunique() < n_blocks:
        notes.append(f"Lines are {rows['block'].nunique()} of {n_blocks} earlier layers.")
    if n_seeds > 1:
        notes.append(f"Lines are means over {n_seeds} seeds.")
    return tuple(notes)
