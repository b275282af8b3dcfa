"""The post's three figures by position in the context, of one SAE.

Positions are counted from 1, as in the post, where position 1 is that of BOS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from saeflow.figures.axes import layer_axis, log_ticks
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.places import by_site
from saeflow.figures.style import REFERENCE, use_style
from saeflow.figures.texts import fit

LAYERS, POSITIONS = "viridis", "inferno"
VALUES = {
    "l0": "Active latents (L0)",
    "squared_error": "Squared error",
    "l1": "Sum of latents (L1)",
    "delta_ce": "Added loss (nats/token)",
    "act_norm": "Norm of activations",
}
_MOST_POSITIONS = 12
_PANEL = (2.6, 2.0)  # inches
_BAR = 0.8
_TITLE = 0.3
_COARSE = 40  # positions of a line from which points are not marked


class Shades(NamedTuple):
    """A colour for each of some numbers in order, and the bar that says which is which."""

    values: list[Any]
    """The numbers."""
    names: list[str]
    """What the bar calls them."""
    colours: list[Any]
    """RGBA of each."""
    label: str
    """The bar's."""

    @classmethod
    def of(cls, values: Sequence[Any], names: Sequence[str], palette: str, label: str) -> Shades:
        """Return colours from dark to light in the order of ``values``."""
        places = np.linspace(0.0, 0.9, len(values)) if len(values) > 1 else [0.4]
        return cls(list(values), list(names), [colormaps[palette](p) for p in places], label)

    def bar(self, figure: Figure, axes: Sequence[Axes]) -> None:
        """Put the bar beside some panels."""
        n = len(self.values)
        norm = BoundaryNorm(np.arange(n + 1) - 0.5, n)
        shown = ScalarMappable(norm, ListedColormap(self.colours))
        bar = figure.colorbar(shown, ax=list(axes), label=self.label, pad=0.01, aspect=20)
        at = range(0, n, max(1, -(-n // _MOST_POSITIONS)))
        bar.ax.yaxis.set_major_locator(FixedLocator(list(at)))
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.set_yticklabels([self.names[place] for place in at])


def by_position(
    table: pd.DataFrame, *, values: Sequence[str], log: bool = True, beside: bool = False
) -> Drawing:
    """Draw values of one SAE per layer against the position, and below against the layer.

    Parameters
    ----------
    table
        Columns model, site, block, seed, packing, training_context, first, last, position and
        ``values``; a mean over seeds is drawn.
    values
        Names in `VALUES`, one pair of panels each.
    log
        Whether their axes are logarithmic.
    beside
        Whether the two panels of a value stand side by side.
    """
    table, odd = finite(table, list(values), positive=list(values) if log else [])
    rows, notes = _means(table, values)
    with use_style():
        groups = by_site(rows)
        shape = (len(groups), 2) if beside else (2 * len(groups), len(values))
        figure = Figure(
            figsize=(_PANEL[0] * shape[1] + _BAR, _PANEL[1] * shape[0] + _TITLE),
            layout="constrained",
        )
        axes = figure.subplots(*shape, squeeze=False)
        for index, (*_, name, group) in enumerate(groups):
            own = axes[[index]] if beside else axes[2 * index : 2 * index + 2]
            above, below = (own[:, 0], own[:, 1]) if beside else (own[0], own[1])
            layers, positions = _layers(group), _positions(group)
            for ax, value in zip(above, values, strict=True):
                _against_position(ax, group, value, layers)
                _finish(ax, value, log)
                fit(ax.set_title(name), _PANEL[0] - 0.4) if ax is above[0] and name else None
            for ax, value in zip(below, values, strict=True):
                _against_layer(ax, group, value, positions)
                _finish(ax, value, log)
            layers.bar(figure, above)
            positions.bar(figure, below)
    return Drawing(figure, table, (*_about(table), *notes, *odd))


def norms_and_errors(table: pd.DataFrame) -> Drawing:
    """Draw norms by layer, and errors against norms by position and by layer.

    Parameters
    ----------
    table
        As for `by_position`, with squared_error and act_norm.
    """
    values = ["squared_error", "act_norm"]
    table, odd = finite(table, values, positive=values)
    rows, notes = _means(table, values)
    with use_style():
        groups = by_site(rows)
        figure = Figure(
            figsize=(3 * _PANEL[0] + 2 * _BAR, _PANEL[1] * len(groups) + _TITLE),
            layout="constrained",
        )
        axes = figure.subplots(len(groups), 3, squeeze=False)
        for own, (*_, name, group) in zip(axes, groups, strict=True):
            layers, positions = _layers(group), _positions(group)
            _against_layer(own[0], group, "act_norm", positions)
            _finish(own[0], "act_norm", log=True)
            if name:
                fit(own[0].set_title(name), _PANEL[0] - 0.4)
            for ax, of, shades in ((own[1], "range", positions), (own[2], "block", layers)):
                colours = dict(zip(shades.values, shades.colours, strict=True))
                chosen = group[group[of].isin(shades.values)]
                ax.scatter(
                    chosen["squared_error"], chosen["act_norm"],
                    c=[colours[value] for value in chosen[of]], s=9, linewidths=0,
                )  # fmt: skip
                ax.set_xscale("log")
                ax.set_xlabel(VALUES["squared_error"])
                _finish(ax, "act_norm", log=True)
                log_ticks(ax.xaxis)
            positions.bar(figure, own[1:2])
            layers.bar(figure, own[2:])
    return Drawing(figure, table, (*_about(table)[:1], *notes, *odd))


def position_axis(ax: Axes, low: float, high: float) -> None:
    """Make the horizontal axis one of positions: powers of two, on a logarithmic scale."""
    ax.set_xscale("log", base=2)
    ax.set_xlim(low / 1.15, high * 1.15)
    powers = [2**n for n in range(17) if low / 1.15 <= 2**n <= high * 1.15]
    ax.xaxis.set_major_locator(FixedLocator(powers[:: max(1, -(-len(powers) // 6))]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("Context position")


def context_line(ax: Axes, context: float) -> None:
    """Draw the end of a training's context."""
    if np.isfinite(context):
        ax.axvline(context, **REFERENCE)


def _means(table: pd.DataFrame, values: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return means over seeds, with the range of positions as a column, and a note."""
    keys = ["model", "site", "block", "first", "last", "position"]
    contexts = pd.to_numeric(table["training_context"])
    table = table.assign(training_context=contexts)
    grouped = table.groupby(keys, sort=False)
    rows = grouped[[*values, "training_context"]].mean().reset_index()
    n_seeds = table["seed"].nunique()
    note = seeds_note([n_seeds], mean="Lines and points are", one="", several="")
    found = rows.assign(range=rows["first"]).sort_values(["block", "position"], kind="stable")
    return found, ((note.rstrip("; ") + ".",) if note else ())


def _layers(group: pd.DataFrame) -> Shades:
    blocks = sorted(group["block"].unique())
    return Shades.of(blocks, [str(b) for b in blocks], LAYERS, "Block")


def _positions(group: pd.DataFrame) -> Shades:
    """Return the ranges that begin or end at powers of two, no more than can be told apart."""
    ranges = group.drop_duplicates("first").sort_values("first")
    if len(ranges) > 2 * _MOST_POSITIONS:  # exact positions: powers of two, and the last
        wanted = {2**n for n in range(17)} | {ranges["first"].max()}
        ranges = ranges[ranges["first"].isin(wanted)]
    step = -(-len(ranges) // _MOST_POSITIONS)
    ranges = ranges.iloc[::-1].iloc[::step].iloc[::-1]
    names = [
        str(first) if first == last else f"{first}–{last}"
        for first, last in zip(ranges["first"], ranges["last"], strict=True)
    ]
    return Shades.of(ranges["first"].tolist(), names, POSITIONS, "Context position")


def _against_position(ax: Axes, group: pd.DataFrame, value: str, layers: Shades) -> None:
    exact = group["position"].nunique() > _COARSE
    look = {"linewidth": 0.5} if exact else {"linewidth": 0.9, "marker": "o", "markersize": 2}
    for block, colour in zip(layers.values, layers.colours, strict=True):
        rows = group[group["block"] == block]
        ax.plot(rows["position"], rows[value], color=colour, **look)
    position_axis(ax, group["position"].min(), group["position"].max())
    if (context := group["training_context"].iloc[0]) < group["last"].max():
        context_line(ax, context)


def _against_layer(ax: Axes, group: pd.DataFrame, value: str, positions: Shades) -> None:
    blocks = sorted(group["block"].unique())
    at = layer_axis(ax, blocks, _PANEL[0] - 0.6)
    for first, colour in zip(positions.values, positions.colours, strict=True):
        rows = group[group["range"] == first]
        ax.plot(
            rows["block"].map(at), rows[value], color=colour, linewidth=0.9, marker="o",
            markersize=2.5,
        )  # fmt: skip
    ax.set_xlabel("Block")


def _finish(ax: Axes, value: str, log: bool) -> None:
    ax.set_ylabel(VALUES[value])
    if log:
        ax.set_yscale("log")
        log_ticks(ax.yaxis)


def _about(table: pd.DataFrame) -> tuple[str, ...]:
    """Say which SAE is shown, on which documents, and what the vertical line is."""
    first = table.iloc[0]
    context = pd.to_numeric(first["training_context"])
    trained = f", trained at a context of {context:,.0f} tokens" if np.isfinite(context) else ""
    documents = {"held_out": "held-out documents", "seen": "documents of its training"}
    line = f"Of {first['sae']}{trained}, on {documents[first['part']]}."
    if not context < table["last"].max():
        return (line,)
    return (line, "The dashed line is the last position that its training had.")
