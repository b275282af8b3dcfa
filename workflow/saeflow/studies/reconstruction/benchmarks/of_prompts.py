"""Figures whose points and lines are prompts: what an SAE does to each of them.

Read `outcomes_of_prompts`, `prompts_by_layer` and `statistics_and_norm`: each draws a table of
`saeflow.studies.reconstruction.benchmarks.tables.outcomes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.axes import few_ticks, layer_axis, log_ticks
from saeflow.figures.curves import block_colours
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place
from saeflow.figures.style import GUIDE, INK, SERIES, use_style
from saeflow.figures.texts import fit
from saeflow.studies.reconstruction.benchmarks.series import LOOKS, series_of, shown_rows

ERROR, CHANGE = "mse_saelens24", "delta_logp"
_NAMES = {
    ERROR: "MSE (SAELens 2024)",
    CHANGE: "Change of ln p(answer) (nats)",
    "norm": "|x|, mean over the prompt's end",
    "l0": "L0",
    "l1": "L1",
}
_WIDTH, _HEIGHT = 8.8, 1.9  # inches, of a row of panels
_ABOVE = 0.5
_BINS = 50
_LEAST_HISTOGRAM = 20  # points: of fewer it would show chance
_SHOWN = (0.002, 0.998)
"""Of the values that axes show: single prompts beyond would press all others flat."""
_POINT = {"linewidths": 0, "alpha": 0.5, "rasterized": True}
_MAP = "magma_r"
_LIGHT, _JITTER = 0.15, 0.15
_MOST_NAMED = 12


def outcomes_of_prompts(table: pd.DataFrame) -> Drawing:
    """Draw error and change of the answer against added loss, a point per prompt, by who answers.

    A row of panels per prompt set and recipe has the prompts of all layers.
    """
    table = table.assign(**{ERROR: np.log10(table[ERROR].where(table[ERROR] > 0))})
    table, odd = finite(table, ["delta_ce", ERROR, CHANGE])
    series, notes = series_of(table)
    with use_style():
        figure = Figure(figsize=(_WIDTH, 2.6 * len(series) + _ABOVE), layout="constrained")
        grid = figure.add_gridspec(len(series), 2)
        n_beyond = 0
        for row, one in enumerate(series):
            for column, value in enumerate((ERROR, CHANGE)):
                n_beyond += _joint(figure, grid[row, column], one, value)
        handles = [Line2D([], [], label=look.label, **look.point(3.5)) for look in LOOKS.values()]
        legend_above(figure, handles)
    return Drawing(figure, shown_rows(series), (*odd, *notes, *_beyond_note(n_beyond)))


def _joint(figure: Figure, cell: Any, series: Place, value: str) -> int:
    """Draw points and their histograms beside them; return how many points lie beyond the axes."""
    inner = cell.subgridspec(2, 2, width_ratios=[5, 1], height_ratios=[1, 5], wspace=0, hspace=0)
    ax = figure.add_subplot(inner[1, 0])
    above = figure.add_subplot(inner[0, 0], sharex=ax)
    beside = figure.add_subplot(inner[1, 1], sharey=ax)
    x, y = series.rows["delta_ce"].to_numpy(), series.rows[value].to_numpy()
    across, up = _ends(x), _ends(y)
    for name, look in LOOKS.items():
        own = (series.rows["outcome"] == name).to_numpy()
        if not own.any():
            continue
        ax.scatter(x[own], y[own], s=4, color=look.colour, marker=look.marker, **_POINT)
        line = {"bins": _BINS, "density": True, "histtype": "step"}
        line |= {"color": look.colour, "linewidth": 0.9}
        if own.sum() < _LEAST_HISTOGRAM:
            continue
        above.hist(x[own], range=across, **line)
        beside.hist(y[own], range=up, orientation="horizontal", **line)
    ax.set_xlim(*across)
    ax.set_ylim(*up)
    ax.axvline(0, **GUIDE)
    if value == CHANGE:
        ax.axhline(0, **GUIDE)
    ax.set_xlabel("Added loss on the prompt (nats/token)")
    ax.set_ylabel(f"log10 {_NAMES[value]}" if value == ERROR else _NAMES[value])
    fit(ax.yaxis.label, _HEIGHT)
    few_ticks(ax)
    above.set_title(f"{series.title}: {'error' if value == ERROR else 'answer'}")
    fit(above.title, 3.4)
    for side in (above, beside):
        side.tick_params(labelbottom=False, labelleft=False, length=0)
        side.grid(visible=False)
        for spine in side.spines.values():
            spine.set_visible(False)
        (side.set_yticks if side is above else side.set_xticks)([])
    return int(((x < across[0]) | (x > across[1]) | (y < up[0]) | (y > up[1])).sum())


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Return where an axis ends that shows nearly all values, with zero where it is near."""
    low, high = np.quantile(values, _SHOWN)
    room = 0.05 * (high - low) or abs(high) or 1.0
    return float(low - room), float(high + room)


def _beyond_note(n: int) -> tuple[str, ...]:
    return (f"{n:,} points lie beyond the axes, which show all but the outermost.",) * bool(n)


def prompts_by_layer(table: pd.DataFrame, *, value: str, log: bool = False) -> Drawing:
    """Draw a value of each prompt by layer: as points with range and median, and as lines."""
    table, odd = finite(table, [value], positive=[value] if log else [])
    series, notes = series_of(table)
    several = max(one.rows["block"].nunique() for one in series) > 1
    with use_style():
        figure = Figure(
            figsize=(_WIDTH if several else _WIDTH / 2, _HEIGHT * len(series) + 0.2),
            layout="constrained",
        )
        axes = figure.subplots(len(series), 1 + several, squeeze=False)
        for row, one in zip(axes, series, strict=True):
            label = f"Block ({one.rows['site'].iloc[0]})"
            for ax in row:
                ax.set_yscale("log" if log else "linear")
                ax.set_xlabel(label)
            blocks = sorted(one.rows["block"].unique())
            at = layer_axis(row[0], blocks, 3.2)
            _strip(row[0], one.rows, at, value)
            row[0].set_title(one.title)
            fit(row[0].title, 3.4)
            row[0].set_ylabel(_NAMES[value])
            fit(row[0].yaxis.label, _HEIGHT - 0.4)
            if several:
                layer_axis(row[1], blocks, 2.8)
                _lines(figure, row[1], one.rows, at, value, log=log)
                row[1].sharey(row[0])
            for ax in row:
                if log:
                    log_ticks(ax.yaxis)
                else:
                    ax.axhline(0, **GUIDE)
    return Drawing(figure, shown_rows(series), (*odd, *notes))


def _strip(ax: Axes, prompts: pd.DataFrame, at: Mapping[int, int], value: str) -> None:
    """Draw points beside one another, the range as a bar and the median as a dash, per layer."""
    for block, rows in prompts.groupby("block"):
        y = rows[value].to_numpy()
        jitter = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(y))
        ax.scatter(at[block] + jitter, y, s=2, color=SERIES[4], **_POINT)
        ax.vlines(at[block], y.min(), y.max(), color=INK, linewidth=0.6)
        middle = np.median(y)
        ax.plot([at[block] - 0.3, at[block] + 0.3], [middle, middle], color=INK, linewidth=1.4)


def _lines(
    figure: Figure, ax: Axes, rows: pd.DataFrame, at: Mapping[int, int], value: str, *, log: bool
) -> None:
    """Draw a line per prompt through the layers, in the colour of its value at the first."""
    wide = rows.pivot_table(index="prompt", columns="block", values=value).dropna()
    first = wide[wide.columns[0]].to_numpy()
    scaled = np.log10(first) if log else first
    middle, spread = scaled.mean(), 2 * scaled.std() or 1.0
    norm = Normalize(middle - spread, middle + spread)
    colours = colormaps[_MAP](_LIGHT + (1 - _LIGHT) * np.clip(norm(scaled), 0, 1))
    x = [at[block] for block in wide]
    lines = [np.column_stack([x, row]) for row in wide.to_numpy()]
    ax.add_collection(
        LineCollection(lines, colors=colours, linewidths=0.4, alpha=0.5, rasterized=True)
    )
    ax.autoscale_view()
    bar = figure.colorbar(
        ScalarMappable(norm, colormaps[_MAP]), ax=ax, pad=0.02, aspect=18, extend="both"
    )
    bar.set_label(f"{'log10 v' if log else 'V'}alue at block {wide.columns[0]}")
    fit(bar.ax.yaxis.label, _HEIGHT - 0.4)
    bar.ax.tick_params(length=2)


def statistics_and_norm(table: pd.DataFrame, *, values: Sequence[str]) -> Drawing:
    """Draw quantities against the norm at a prompt over the smallest of its layer, by layer.

    Each of ``values`` has a panel: a change on a linear axis, others on a logarithmic one.
    """
    positive = [value for value in values if value != CHANGE]
    table, odd = finite(table, ["norm", *values], positive=["norm", *positive])
    least = table.groupby(["prompts", "model", "hook", "sae", "seed"])["norm"].transform("min")
    series, notes = series_of(table.assign(relative=table["norm"] / least))
    colours = block_colours(sorted(table["block"].unique()))
    with use_style():
        places = [
            Place((str(number),), value, f"{one.title}: {_NAMES[value]}", one.rows)
            for number, one in enumerate(series)
            for value in values
        ]
        grid = panel_grid(places, size=(2.2, 1.7), sharex=False, sharey=False)
        wanted = [value for _ in series for value in values]
        for (ax,), place, value in zip(grid.panels, places, wanted, strict=True):
            for block, rows in place.rows.groupby("block"):
                ax.scatter(rows["relative"], rows[value], s=3, color=colours[block], **_POINT)
            ax.set_yscale("linear" if value == CHANGE else "log")
            if place.rows["relative"].max() > 3:
                ax.set_xscale("log")
            if value == CHANGE:
                ax.axhline(0, **GUIDE)
                few_ticks(ax)
        figure = grid.figure
        figure.draw_without_rendering()
        for ax in grid.axes:
            for axis in (ax.xaxis, ax.yaxis):
                if axis.get_scale() == "log":
                    log_ticks(axis)
        grid.label(x="|x| / smallest of its layer", y="")
        named = list(colours)[:: -(-len(colours) // _MOST_NAMED)]
        handles = [
            Line2D([], [], linestyle="", marker="o", markersize=3.5, color=colours[block],
                   label=f"block {block}")
            for block in named
        ]  # fmt: skip
        legend_above(figure, handles)
    return Drawing(figure, shown_rows(series).drop(columns="relative"), (*odd, *notes))
