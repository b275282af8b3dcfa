"""Figures by layer of what a model answers with SAEs in it: accuracies, losses, who answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from saeflow.figures.axes import (
    Span,
    arms,
    cut_note,
    few_ticks,
    layer_axis,
    limit,
    mark_cut,
    span_of,
)
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.layers import GROUP_WIDTH, layers_of
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, sites_of
from saeflow.figures.style import INK, REFERENCE, SERIES, Look, use_style
from saeflow.studies.reconstruction.benchmarks.series import (
    LOOKS,
    series_of,
    shown_rows,
    without_baselines,
)

_SLOT = 0.05  # inches, of a recipe
_CHANCE = {"color": INK, "linewidth": 0.8, "linestyle": (0, (1, 1.5))}
_NARROW = 0.1  # inches of a layer, at least
_MARKERS = "osD^v"
"""Of recipes that have the same colour."""


class Level(NamedTuple):
    """One of the values of a panel, which stand above one another."""

    value: str
    """Its column."""
    clean: str = ""
    """The column of the untouched model's; "" for a change, which is none at zero."""
    chance: str = ""
    """The column with what a blind guess gets; "" for none."""


def with_candidates(table: pd.DataFrame) -> pd.DataFrame:
    """Select the prompt sets whose answers are chosen among candidates."""
    return table[table["accuracy_choice"].notna()]


def with_distractor(table: pd.DataFrame) -> pd.DataFrame:
    """Select the prompt sets that have a wrong answer to be told from the right one."""
    return table[table["logit_diff"].notna()]


def by_layer(
    table: pd.DataFrame, *, levels: Sequence[Sequence[str]], labels: Mapping[str, str]
) -> Drawing:
    """Draw a panel per prompt set, model and site: at each layer a dot per recipe and seed.

    Parameters
    ----------
    table
        Of `saeflow.studies.reconstruction.benchmarks.tables.answers`.
    levels
        What stands above one another in a panel, each as the fields of a `Level`.
    labels
        Metric -> axis label.
    """
    wanted = [Level(*level) for level in levels]
    wanted = [
        level for level in wanted if level.value in table and table[level.value].notna().any()
    ]
    table, others = without_baselines(table)
    table, notes = finite(table, [wanted[0].value])
    with use_style():
        places, looks = _places(table), _looks(table["sae"])
        layers = layers_of(places, max(_NARROW, len(looks) * _SLOT / GROUP_WIDTH))
        grid = panel_grid(
            places, size=(1.9, 1.5), widths=layers.widths, stacked=len(wanted),
            sharex=False, sharey=False,
        )  # fmt: skip
        n_cut = 0
        for panel, place, width in zip(grid.panels, places, grid.widths, strict=True):
            for ax, level in zip(panel, wanted, strict=True):
                at = layer_axis(ax, layers.blocks(place), width)
                n_cut += _dots(ax, place.rows, at, level, looks)
                few_ticks(ax)
        for panel in grid.panels:
            for ax in panel[:-1]:
                ax.tick_params(labelbottom=False)
        grid.label(x=layers.label, y=[labels[level.value] for level in wanted])
        legend_above(grid.figure, _handles(looks, wanted))
    sizes = table.groupby(["prompts", "model", "hook", "sae"]).size()
    seeds = seeds_note(
        sizes, mean="Lines go through", one="A dot per SAE, with its 95 % interval.",
        several="dots are single seeds with their 95 % intervals.",
    )  # fmt: skip
    return Drawing(grid.figure, table, (seeds, *notes, *others, *cut_note(n_cut)))


def _places(table: pd.DataFrame) -> list[Place]:
    sites, several = sites_of(table), table["model"].nunique() > 1
    found = []
    for (prompts, model), group in table.groupby(["prompts", "model"], sort=False):
        for site in sites:
            rows = group[group["site"] == site]
            if rows.empty:
                continue
            names = [prompts, *([model] if several else []), *([site] if len(sites) > 1 else [])]
            found.append(Place((model, site), prompts, ", ".join(names), rows))
    return sorted(found, key=lambda place: place.row[0])


def _looks(recipes: pd.Series) -> dict[str, Look]:
    """Return how each recipe is drawn."""
    return {
        name: Look(SERIES[i % len(SERIES)], _MARKERS[i // len(SERIES) % len(_MARKERS)], name)
        for i, name in enumerate(dict.fromkeys(recipes))
    }


def _dots(
    ax: Axes,
    chosen: pd.DataFrame,
    at: Mapping[int, int],
    level: Level,
    looks: Mapping[str, Look],
) -> int:
    """Draw one value of a panel; return how many intervals are cut."""
    value, chosen = level.value, chosen[chosen[level.value].notna()]
    if chosen.empty:
        return 0
    span = span_of(chosen, value)
    for column, line in ((level.clean, REFERENCE), (level.chance, _CHANCE)):
        if column:
            height = float(chosen[column].mean())
            ax.axhline(height, **line)
            span = span.over(Span(height, height))
    if not level.clean:
        ax.axhline(0.0, **REFERENCE)
        span = span.over(Span(0.0, 0.0))
    n_cut, step = 0, GROUP_WIDTH / max(2, len(looks))
    for index, (recipe, look) in enumerate(looks.items()):
        rows = chosen[chosen["sae"] == recipe]
        if rows.empty:
            continue
        x = rows["block"].map(at).astype(float) + (index - (len(looks) - 1) / 2) * step
        means = rows[value].groupby(x).mean()
        ax.plot(means.index, means, color=look.colour, linewidth=0.6, alpha=0.6, zorder=2)
        ax.errorbar(
            x, rows[value], yerr=arms(rows, value), elinewidth=0.7, zorder=3, **look.point(3)
        )
        n_cut += mark_cut(ax, x, rows, value, span)
    limit(ax, span)
    return n_cut


def _handles(looks: Mapping[str, Look], levels: Sequence[Level]) -> list[Line2D]:
    line = {"linestyle": "-", "linewidth": 0.6}
    handles = [Line2D([], [], label=name, **(look.point(3) | line)) for name, look in looks.items()]
    changes = all(not level.clean for level in levels)
    handles.append(Line2D([], [], label="no change" if changes else "without SAE", **REFERENCE))
    if any(level.chance for level in levels):
        handles.append(Line2D([], [], label="chance", **_CHANCE))
    return handles


def class_shares(table: pd.DataFrame) -> Drawing:
    """Draw who answers the prompts, as shares that stand upon one another: a bar per layer.

    Parameters
    ----------
    table
        Of `saeflow.studies.reconstruction.benchmarks.tables.classes`.
    """
    table, others = without_baselines(table[table["main"]])
    series, notes = series_of(table, most=4 * len(set(table["prompts"])))
    with use_style():
        layers = layers_of(series, _NARROW)
        grid = panel_grid(series, size=(1.9, 1.5), widths=layers.widths, sharex=layers.sharex)
        for (ax,), place, width in zip(grid.panels, series, grid.widths, strict=True):
            _stack(ax, place.rows, layer_axis(ax, layers.blocks(place), width))
        grid.label(x=layers.label, y="Share of prompts")
        legend_above(
            grid.figure, [Patch(label=look.label, **look.bar()) for look in LOOKS.values()]
        )
    rows = shown_rows(series)
    sizes = rows.groupby(["prompts", "model", "hook", "sae"]).size()
    seeds = seeds_note(
        sizes, mean="Bars are", one="A bar per SAE.", several="the table has the seeds."
    )
    return Drawing(grid.figure, rows, (seeds, *notes, *others))


def _stack(ax: Axes, chosen: pd.DataFrame, at: Mapping[int, int]) -> None:
    names = ("both", "sae_only", "baseline_only", "neither")
    shares = chosen[[f"n_{name}" for name in names]].div(chosen["n_prompts"], axis=0)
    means = shares.groupby(chosen["block"]).mean()
    x, bottom = means.index.map(at), np.zeros(len(means))
    for name in names:
        heights = means[f"n_{name}"].to_numpy()
        ax.bar(x, heights, 0.8, bottom, **LOOKS[name].bar())
        bottom += heights
    ax.set_ylim(0, 1)
