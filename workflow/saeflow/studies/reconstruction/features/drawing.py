"""Figures of what features do: cause against correlation, and sets that are ablated."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator

from saeflow.figures.axes import Span, arms, cut_note, few_ticks, layer_axis, limit, mark_cut
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.layers import GROUP_WIDTH, layers_of
from saeflow.figures.legends import method_legend
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_recipe, by_recipe_and_hook, shown_hooks
from saeflow.figures.style import GUIDE, SERIES, Look, use_style
from saeflow.measures.ablations.feature_scores import KINDS
from saeflow.studies.reconstruction.features.places import PROMPTS, by_set
from saeflow.studies.reconstruction.features.tables import MIN_SEEN
from saeflow.tables.builders import with_ends

_COLOURS = ("#d55e00", "#009e73", "#0072b2", "#5a5a5a")
LOOKS = {k: Look(c, m, k) for k, c, m in zip(KINDS, _COLOURS, "v^so", strict=True)}
_PROPERTIES = {
    "mean_delta": "mean change",
    "sum_delta": "summed change",
    "frequency": "frequency",
    "strength": "strength",
    "token_purity": "token purity",
    "logit_kurtosis": "logit kurtosis",
}
_SLOT = 0.05  # inches, of a property at a layer


def effects_against(table: pd.DataFrame, *, x: str, label: str, rho: str) -> Drawing:
    """Draw effects of features against something else: a panel per hook, recipe and ``where``.

    Parameters
    ----------
    table
        Features that were ablated: columns model, hook, site, block, sae, seed, prompts, where,
        effect with its ends, a place for each of the kinds, ``x``, and ``rho`` with its ends,
        the same throughout a panel.
    x, label
        The column, and its axis.
    rho
        The column with the correlation that a panel's title says.
    """
    table, odd = finite(table, [x, "effect"])
    groups = table.groupby(["model", "sae", "where", PROMPTS]).ngroups
    table, fewer = shown_hooks(table, groups)
    with use_style():
        places = by_set(table, by_recipe_and_hook, "where")
        places = [p._replace(title=f"{p.title}\n{_rho(p.rows, rho)}") for p in places]
        grid = panel_grid(places, size=(2.0, 1.7), sharey=False)
        n_cut = 0
        for (ax,), place in zip(grid.panels, places, strict=True):
            n_cut += _effects(ax, place.rows, x)
        grid.label(x=label, y="Effect on ln p (nats)")
        method_legend(grid.figure, LOOKS)
    return Drawing(grid.figure, table, (*odd, *fewer, *cut_note(n_cut)))


def _rho(rows: pd.DataFrame, rho: str) -> str:
    """Return the correlation of a panel in words: that of the first of several seeds."""
    value, low, high = rows[with_ends([rho])].iloc[0].astype(float)
    if not np.isfinite(value):
        return "too few for ρ"
    ends = f" ({low:.2f} to {high:.2f})" if np.isfinite(low) else ""
    return f"ρ {value:.2f}{ends}".replace("-", "−")


def _span(values: pd.Series) -> Span:
    """Return the ends of an axis that shows all values and zero, and intervals half as far again.

    Features that hardly do anything are the precise ones, and not what is looked for.
    """
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    room = 0.25 * (high - low)
    return Span(low - room, high + room)


def _effects(ax: Axes, rows: pd.DataFrame, x: str) -> int:
    span, n_cut = _span(rows["effect"]), 0
    ax.axhline(0, **GUIDE)
    if rows[x].min() < 0:
        ax.axvline(0, **GUIDE)
    rest = rows
    for kind in KINDS:  # one that is of several has the look of the first
        own, rest = rest[rest[kind] > 0], rest[rest[kind] == 0]
        if own.empty:
            continue
        look = {"elinewidth": 0.5, "alpha": 0.85, **LOOKS[kind].point(3.2)}
        ax.errorbar(own[x], own["effect"], yerr=arms(own, "effect"), **look)
        n_cut += mark_cut(ax, own[x], own, "effect", span)
    limit(ax, span)
    few_ticks(ax)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    return n_cut


def seen_enough(table: pd.DataFrame) -> pd.DataFrame:
    """Select the features whose purity is known: that were active on enough tokens."""
    return table[table["token_purity"].notna() & (table["seen"] >= MIN_SEEN)]


def among_chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Select the correlations over all features that were ablated."""
    return table[table["among"] == "chosen"]


def agreement(table: pd.DataFrame) -> Drawing:
    """Draw correlations of effects with properties by layer, and below those of their sizes.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae, seed, prompts, where, of, with, and rho with its
        ends.
    """
    table, odd = finite(table, ["rho"])
    with use_style():
        places = by_set(table, by_recipe, "where")
        layers = layers_of(places, len(_PROPERTIES) * _SLOT / GROUP_WIDTH)
        widths = [max(width, 1.9) for width in layers.widths]
        grid = panel_grid(places, size=(2.6, 1.4), widths=widths, stacked=2, sharex=layers.sharex)
        colours = dict(zip(_PROPERTIES, SERIES, strict=False))
        size = max(1.8, min(3.5, 72 * layers.inch * GROUP_WIDTH / len(_PROPERTIES)))
        for panel, place, width in zip(grid.panels, places, grid.widths, strict=True):
            for ax, of in zip(panel, ("effect", "size"), strict=True):
                at = layer_axis(ax, layers.blocks(place), width)
                _correlations(ax, place.rows[place.rows["of"] == of], at, colours, size)
        grid.label(x=layers.label, y=["ρ with the effect", "ρ with its size"])
        looks = {name: Look(colours[name], "o", text) for name, text in _PROPERTIES.items()}
        method_legend(grid.figure, looks)
    note = "Each point is of one SAE and seed, with its 95 % interval."
    return Drawing(grid.figure, table, (note, *odd))


def _correlations(
    ax: Axes, rows: pd.DataFrame, at: Mapping[int, int], colours: Mapping[str, str], size: float
) -> None:
    ax.axhline(0, **GUIDE)
    step = GROUP_WIDTH / len(colours)
    for index, (name, colour) in enumerate(colours.items()):
        own = rows[rows["with"] == name]
        x = own["block"].map(at).astype(float) + (index - (len(colours) - 1) / 2) * step
        ax.errorbar(
            x, own["rho"], yerr=arms(own, "rho"), linestyle="", marker="o", markersize=size,
            color=colour, elinewidth=0.7,
        )  # fmt: skip
    ax.set_ylim(-1.05, 1.05)


def curves_of_sets(table: pd.DataFrame) -> Drawing:
    """Draw what ablating sets changes against their size: a panel per hook, recipe and ``where``.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae, seed, prompts, where, kind, size, and change and
        accuracy_change with their ends.
    """
    table, odd = finite(table, ["change", "accuracy_change"])
    groups = table.groupby(["model", "sae", "where", PROMPTS]).ngroups
    table, fewer = shown_hooks(table, 2 * groups)
    with use_style():
        places = by_set(table, by_recipe_and_hook, "where")
        grid = panel_grid(places, size=(1.9, 1.3), stacked=2)
        spans = {name: _span(table[name]) for name in ("change", "accuracy_change")}
        n_cut = 0
        for panel, place in zip(grid.panels, places, strict=True):
            for ax, (value, span) in zip(panel, spans.items(), strict=True):
                n_cut += _curves(ax, place.rows, value, span)
        grid.label(x="Features ablated", y=["Change of ln p\n(nats)", "Change of\naccuracy"])
        method_legend(grid.figure, LOOKS)
    return Drawing(grid.figure, table, (*odd, *fewer, *cut_note(n_cut)))


def _curves(ax: Axes, rows: pd.DataFrame, value: str, span: Span) -> int:
    ax.axhline(0, **GUIDE)
    n_cut = 0
    for index, kind in enumerate(KINDS):
        for _, own in rows[rows["kind"] == kind].groupby("seed", sort=False):
            own = own.sort_values("size")
            x = own["size"] * 2 ** (0.1 * (index - 1.5))  # so that no interval hides another
            look = {**LOOKS[kind].point(2.6), "linestyle": "-", "linewidth": 0.8, "elinewidth": 0.6}
            ax.errorbar(x, own[value], yerr=arms(own, value), **look)
            n_cut += mark_cut(ax, x, own, value, span)
    sizes = sorted(rows["size"].unique())
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(sizes))
    ax.xaxis.set_major_formatter(FixedFormatter([str(size) for size in sizes]))
    ax.set_xlim(sizes[0] / 1.4, sizes[-1] * 1.4)
    limit(ax, span)
    few_ticks(ax)
    return n_cut
