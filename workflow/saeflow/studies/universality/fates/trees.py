"""The figure of descendants: the largest families as trees, a width beside another."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.figures.drawing import Drawing
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import MAX_WIDTH
from saeflow.figures.places import hooks_of, spread
from saeflow.figures.style import INK, MUTED, SERIES, use_style
from saeflow.figures.texts import shortened
from saeflow.metrics.splitting import LEAST

_TREES, _ACROSS = 4, 2  # in a figure, and beside one another
_LEAVES = 26  # of a tree, at most
_LEAF, _HEAD = 0.135, 0.75  # inches
_TEXT = 6.0  # points
_SMALLEST, _LARGEST = 2.0, 8.0  # points, of nodes: of the rarest and the most frequent feature
_THIN, _THICK = 0.4, 2.4  # points, of lines at the least cosine and at 1


class _Node(NamedTuple):
    """A feature in a tree: what it is, where it stands and its parent, and children not shown."""

    row: pd.Series
    x: int
    y: float
    parent: tuple[int, float] | None
    unseen: int
    has_children: bool


def family_trees(table: pd.DataFrame) -> Drawing:
    """Draw the families with most descendants as trees, an SAE's width to the right of another."""
    chosen, note = _chain(table)
    roots = _largest(chosen)
    with use_style():
        trees = [_nodes(chosen, root) for root in roots]
        n_across = min(_ACROSS, len(trees))
        n_rows = -(-len(trees) // n_across)
        sizes = [1 + max(node.y for node in tree) for tree in trees]
        rows = [max(sizes[i : i + n_across]) for i in range(0, len(sizes), n_across)]
        heights = [_LEAF * max(n, 5) + _HEAD for n in rows]
        figure = Figure(figsize=(MAX_WIDTH, sum(heights) + 0.3), layout="constrained")
        axes = figure.subplots(n_rows, n_across, squeeze=False, height_ratios=heights)
        saes = chosen.drop_duplicates("sae").sort_values("width")
        for ax, tree in zip(axes.flat, trees, strict=False):
            _tree(ax, tree, saes, chosen["frequency"], MAX_WIDTH / n_across / (len(saes) + 0.6))
        for ax in axes.flat[len(trees) :]:
            ax.set_visible(False)
        legend_above(figure, _handles())
    drawn = chosen[chosen["root"].isin(roots) & (chosen["root_sae"] == saes["sae"].iloc[0])]
    return Drawing(figure, drawn, note)


def _chain(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    first = table[table["model"] == table["model"].iloc[0]]
    born = first[first["parent"] >= 0].groupby("hook")["parent_sae"].nunique()
    longest = born.index[born == born.max()]  # others miss widths: there is nothing to follow
    (hook,) = spread(hooks_of(first[first["hook"].isin(longest)] if len(longest) else first), 1)
    own = first[first["hook"] == hook]
    own = own[(own["family"] == own["family"].iloc[0]) & (own["seed"] == own["seed"].min())]
    n = table.groupby(["model", "hook", "family", "seed"]).ngroups
    where = f"Shown is {hook} of {own['model'].iloc[0]}, {own['family'].iloc[0]} and wider"
    return own, (f"{where}; the table has all {n}.",) if n > 1 else ()


def _largest(table: pd.DataFrame) -> list[int]:
    """Return the features of the narrowest SAE with most descendants, those of most children."""
    narrowest = table[table["width"] == table["width"].min()]
    order = ["n_descendants", "n_children", "frequency"]
    return narrowest.sort_values(order, ascending=False, kind="stable")["latent"].tolist()[:_TREES]


def _nodes(table: pd.DataFrame, root: int) -> list[_Node]:
    """Return a family laid out: leaves one below another, all others amid their children.

    Where there are too many, the most frequent children of each are shown.
    """
    narrowest = table["sae"][table["width"].idxmin()]
    order = {sae: x for x, sae in enumerate(table.sort_values("width")["sae"].unique())}
    own = table[(table["root"] == root) & (table["root_sae"] == narrowest)]
    born = own[own["parent"] >= 0].sort_values("frequency", ascending=False, kind="stable")
    children = {
        key: rows.index.tolist() for key, rows in born.groupby(["parent_sae", "parent"], sort=False)
    }
    first = own.index[(own["sae"] == narrowest) & (own["latent"] == root)][0]
    for most in range(_LEAVES, 0, -1):
        found: list[_Node] = []
        n_leaves = _lay_out(own, children, order, first, most, 0, found)
        if n_leaves <= _LEAVES:
            break
    return found


def _lay_out(
    table: pd.DataFrame,
    children: dict[tuple[str, int], list[int]],
    order: dict[str, int],
    index: int,
    most: int,
    next_leaf: int,
    found: list[_Node],
) -> int:
    """Add a feature and its descendants to ``found``, and return the number of the next leaf."""
    row = table.loc[index]
    every = children.get((row["sae"], row["latent"]), [])
    x, ys, below = order[row["sae"]], [], len(found)
    for child in every[:most]:
        next_leaf = _lay_out(table, children, order, child, most, next_leaf, found)
        ys.append(found[-1].y)
    y = float(np.mean(ys)) if ys else float(next_leaf)
    for at in range(below, len(found)):
        if found[at].parent is None:
            found[at] = found[at]._replace(parent=(x, y))
    found.append(_Node(row, x, y, None, len(every) - len(ys), bool(ys)))
    return next_leaf if ys else next_leaf + 1


def _size(frequency: float, every: pd.Series) -> float:
    """Return how large a node is, by the logarithm of a feature's frequency."""
    low, high = np.log(every.min()), np.log(every.max())
    return _SMALLEST + (_LARGEST - _SMALLEST) * (np.log(frequency) - low) / ((high - low) or 1.0)


def _tree(ax: Axes, tree: list[_Node], saes: pd.DataFrame, every: pd.Series, room: float) -> None:
    for node in tree:
        agrees = node.row["correlation_parent"] == node.row["parent"]
        if node.parent is not None:
            x, y = node.parent
            part = np.clip((node.row["cosine"] - LEAST) / (1 - LEAST), 0, 1)
            middle = (x + node.x) / 2
            ax.plot(
                [x, middle, middle, node.x], [y, y, node.y, node.y], color=MUTED, zorder=1,
                linewidth=_THIN + (_THICK - _THIN) * part, solid_joinstyle="round",
            )  # fmt: skip
        ax.plot(
            node.x, node.y, "o", markersize=_size(node.row["frequency"], every), color=SERIES[0],
            fillstyle="full" if agrees or node.parent is None else "none", zorder=2,
        )  # fmt: skip
        ax.annotate(  # upon the line to its children, in a gap of it
            _called(node, room), (node.x, node.y), xytext=(5, 0), textcoords="offset points",
            fontsize=_TEXT, va="center", color=INK, zorder=3,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3},
        )  # fmt: skip
    ax.set_ylim(max(4.5, max(node.y for node in tree) + 0.7), -0.7)
    ax.set_xlim(-0.2, len(saes) - 0.4)
    ax.set_xticks(range(len(saes)), [f"{e:g}×" for e in saes["expansion"]])
    ax.set_yticks([])
    ax.tick_params(labelleft=False)
    ax.grid(visible=False)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("Latents per dimension")
    root = tree[-1].row
    ax.set_title(f"feature {root['latent']}, {root['n_descendants']} descendants")


def _called(node: _Node, room: float) -> str:
    """Return what stands beside a feature: its fact or its frequency, and how many are not seen."""
    fact = node.row["fact"]
    told = isinstance(fact, str) and fact  # a table that was written has no empty texts
    name = fact if told else f"{100 * node.row['frequency']:.2g} %"
    more = f" (+{node.unseen})" if node.unseen else ""
    room *= 0.45 if node.has_children else 0.85  # up to where lines to children part
    return shortened(name, _TEXT, max(0.3, room)) + more


def _handles() -> list[Line2D]:
    size = mpl.rcParams["lines.markersize"]
    node = {"color": SERIES[0], "marker": "o", "linestyle": "", "markersize": 0.8 * size}
    return [
        Line2D([], [], label="same parent by correlation", **node),
        Line2D([], [], label="another one by correlation", fillstyle="none", **node),
        Line2D([], [], color=MUTED, linewidth=_THICK, label="cosine near 1"),
        Line2D([], [], color=MUTED, linewidth=_THIN, label=f"cosine near {LEAST}"),
    ]
