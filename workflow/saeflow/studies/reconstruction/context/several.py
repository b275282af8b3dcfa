"""Several SAEs by position in the context: of short contexts, long ones, normalised inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from saeflow.figures.axes import (
    Span,
    arms,
    cut_note,
    few_ticks,
    layer_axis,
    limit,
    log_ticks,
    mark_cut,
    span_of,
)
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.layers import GROUP_WIDTH, Layers, layers_of
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, by_hook, by_site, shown_hooks
from saeflow.figures.style import GUIDE, INK, REFERENCE, series_looks, use_style
from saeflow.studies.reconstruction.context.figures import context_line, position_axis

_POINT = 0.07  # inches
_CURVES = {"l0": "Active latents", "fvu": "Unexplained share", "delta_ce": "Added loss (nats)"}
_LOG = ("l0", "fvu")
_PANELS = {
    "l0_beyond_ratio": ("L0, beyond / within", 1.0),
    "fvu_beyond_ratio": ("Unexplained, beyond / within", 1.0),
    "delta_ce_beyond": ("Added loss (nats/token)", 0.0),
    "fvu_seen_ratio": ("Unexplained, seen / held out", 1.0),
}
"""What each panel shows: its title, and the value that means no difference; 1 is of ratios, whose
axes are logarithmic."""
_WITHIN = {"delta_ce_beyond": "delta_ce_within"}
"""What stands beside a value, as a hollow point."""


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with ``name``: of each SAE, and the context that it was trained at."""
    context = pd.to_numeric(table["training_context"])
    known = context.map(lambda tokens: f", context {tokens:.0f}", na_action="ignore").fillna("")
    return table.assign(name=table["sae"] + known, training_context=context)


def curves(table: pd.DataFrame) -> Drawing:
    """Draw L0, error and added loss of each SAE against the position: a column per hook.

    Parameters
    ----------
    table
        Of `saeflow.studies.reconstruction.context.tables.by_range`, ordinary tokens of one part.
    """
    table, odd = finite(named(table), list(_CURVES), positive=list(_LOG))
    table, fewer = shown_hooks(table, 4 * len(_CURVES))
    with use_style():
        looks = series_looks(table["name"])
        places = by_hook(table)
        grid = panel_grid(places, size=(1.9, 1.45), stacked=len(_CURVES))
        border = table["training_context"].min()
        for panel, place in zip(grid.panels, places, strict=True):
            for ax, value in zip(panel, _CURVES, strict=True):
                _lines(ax, place.rows, value, looks)
                if border < table["last"].max():
                    context_line(ax, border)
                if value in _LOG:
                    ax.set_yscale("log")
                else:
                    ax.axhline(0, **GUIDE)
        for ax in grid.axes:
            position_axis(ax, table["position"].min(), table["position"].max())
            if ax.get_yscale() == "log":
                log_ticks(ax.yaxis)
            else:
                few_ticks(ax)
        for ax in grid.axes:
            ax.set_xlabel("")
        grid.label(x="Context position", y=list(_CURVES.values()))
        legend_above(grid.figure, [*_handles(looks), *_border(border, table)])
    return Drawing(grid.figure, table, (*odd, *fewer))


def summary(table: pd.DataFrame) -> Drawing:
    """Draw each SAE beyond one position against within, and on seen documents against others.

    Parameters
    ----------
    table
        Of `saeflow.studies.reconstruction.context.tables.summary`.
    """
    table = named(table)
    shown = {value: what for value, what in _PANELS.items() if table[value].notna().any()}
    table = table[table[list(shown)].notna().any(axis=1)]
    if table.empty:
        table, _ = finite(table, list(_PANELS))  # which says that there is nothing to draw
    borders = sorted(table["border"].unique())
    with use_style():
        looks, n_cut = series_looks(table["name"]), 0
        places = _of_values(table, shown)
        layers = layers_of(places, len(looks) * _POINT)
        grid = panel_grid(
            places, size=(1.9, 1.7), widths=layers.widths, sharex=layers.sharex, sharey=False
        )
        for (ax,), place, width in zip(grid.panels, places, grid.widths, strict=True):
            at = layer_axis(ax, layers.blocks(place), width)
            n_cut += _points(ax, place, at, looks, layers)
            if ax.get_yscale() == "log":
                log_ticks(ax.yaxis)
            else:
                few_ticks(ax)
        grid.label(x=layers.label, y="")
        within = Line2D([], [], color=INK, marker="o", fillstyle="none", linestyle="",
                        markersize=4, label="within")  # fmt: skip
        legend_above(grid.figure, [*_handles(looks, marker="o"), within])
    note = " and ".join(f"{border:,.0f}" for border in borders)
    lacking = table.loc[table["why_unseen"] != "", "why_unseen"].unique()
    unseen = tuple(f"No documents of the training beside others: {why}." for why in lacking)
    return Drawing(
        grid.figure, table, (f"Beyond is after position {note}.", *unseen, *cut_note(n_cut))
    )


def _lines(ax: Axes, rows: pd.DataFrame, value: str, looks: Mapping[str, tuple[str, Any]]) -> None:
    for (name, _), line in rows.groupby(["name", "seed"], sort=False):
        colour, style = looks[name]
        ax.plot(line["position"], line[value], color=colour, linestyle=style, linewidth=1.0)
        low, high = (line[f"{value}{end}"].astype(float) for end in ("_low", "_high"))
        ax.fill_between(line["position"], low, high, color=colour, alpha=0.2, linewidth=0)


def _of_values(table: pd.DataFrame, shown: Mapping[str, tuple[str, float]]) -> list[Place]:
    """Return a panel per value, in a row of panels per model and site."""
    return [
        place._replace(
            row=(*place.row, place.column),
            column=value,
            title=": ".join(filter(None, (place.title, title))),
        )
        for place in by_site(table)
        for value, (title, _) in shown.items()
    ]


def _points(
    ax: Axes,
    place: Place,
    at: Mapping[int, int],
    looks: Mapping[str, tuple[str, Any]],
    layers: Layers,
) -> int:
    value = place.column
    rows = place.rows[place.rows[value].notna()]
    base = _PANELS[value][1]
    ratio = base == 1.0
    ax.axhline(base, **REFERENCE)
    if ratio:
        ax.set_yscale("log")
    if rows.empty:
        return 0
    span = span_of(rows, value, log=ratio) if ratio else span_of(rows, value, base=base)
    span = span.over(Span(base, base))
    if value in _WITHIN:
        span = span.over(Span(rows[_WITHIN[value]].min(), rows[_WITHIN[value]].max()))
    step, n_cut = GROUP_WIDTH / len(looks), 0
    size = max(1.8, min(4.0, 72 * layers.inch * step))
    for index, (name, (colour, _)) in enumerate(looks.items()):
        own = rows[rows["name"] == name]
        x = own["block"].map(at).astype(float) + (index - (len(looks) - 1) / 2) * step
        look = {"color": colour, "marker": "o", "markersize": size, "linestyle": ""}
        ax.errorbar(x, own[value], yerr=arms(own, value), elinewidth=0.8, **look)
        if value in _WITHIN:
            ax.plot(x, own[_WITHIN[value]], fillstyle="none", **look)
        n_cut += mark_cut(ax, x, own, value, span) if len(own) else 0
    limit(ax, span)
    return n_cut


def _handles(looks: Mapping[str, tuple[str, Any]], marker: str = "") -> Sequence[Line2D]:
    return [
        Line2D([], [], color=colour, linestyle="" if marker else style, marker=marker,
               markersize=4, label=name)
        for name, (colour, style) in looks.items()
    ]  # fmt: skip


def _border(border: float, table: pd.DataFrame) -> Sequence[Line2D]:
    if not border < table["last"].max():
        return []
    return [Line2D([], [], label=f"context {border:.0f} ends", **REFERENCE)]
