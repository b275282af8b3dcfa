"""AUC of probes against the number of features that they read, and against SAEs' sparsity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from saeflow.figures.axes import (
    Span,
    cut_note,
    few_ticks,
    l0_axis,
    limit,
    mark_cut,
    short,
    span_of,
    strokes,
)
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_hook, learned, shown_hooks
from saeflow.figures.style import INK, architecture_looks, series_looks, use_style
from saeflow.studies.classification.post.figures import AUC, of_saes, of_several, over_note
from saeflow.studies.classification.post.tables import (
    BEST,
    CODES,
    K_SPARSE,
    LOGISTIC,
    NORMAL,
    PUBLISHED,
    STATES,
)

_BEST = {"color": INK, "linestyle": "-", "linewidth": 0.9}
_PUBLISHED = {"color": INK, "linestyle": (0, (4, 2)), "linewidth": 0.9}
_AT_K = "pca_at_k"
_MARKERS = "oDs^vP<>"
_APART = 1.1  # times the k: so that strokes do not hide one another


def k_sparse_curves(table: pd.DataFrame) -> Drawing:
    """Draw a panel per hook: AUC against k, a line per recipe, and levels of states."""
    table = of_several(table[(table["setting"] == NORMAL) & (table["pooling"] == "last")])
    table, fewer = shown_hooks(_with_saes(table))
    sparse = table[(table["input"] == CODES) & (table["probe"] == K_SPARSE)]
    whole = table[(table["input"] == CODES) & (table["probe"] == LOGISTIC)]
    if whole.empty:  # else of the penalty that is chosen
        whole = table[(table["input"] == CODES) & (table["probe"] == PUBLISHED)]
    best = table[table["probe"] == BEST]
    pca = table[table["probe"] == _AT_K]
    ks = sorted(sparse["k"].astype(int).unique())
    most = 2 * ks[-1] if ks else 1  # where all features stand
    drawn = pd.concat([sparse, whole.assign(k=most), pca, best])
    drawn, notes = finite(drawn, ["auc"])
    with use_style():
        colours = series_looks(sparse["sae"])
        grid = panel_grid(by_hook(drawn), size=(1.9, 1.75))
        span, n_cut = span_of(drawn, "auc"), 0
        for (ax,), place in zip(grid.panels, by_hook(drawn), strict=True):
            ax.set_xscale("log", base=2)
            rows = place.rows
            for value in rows.loc[rows["probe"] == BEST, "auc"]:
                ax.axhline(value, zorder=1.5, **_BEST)
            for index, (sae, (colour, style)) in enumerate(colours.items()):
                own = rows[(rows["sae"] == sae) & (rows["input"] == CODES)]
                own = own.assign(k=own["k"] * _APART ** (index - (len(colours) - 1) / 2))
                look = {"color": colour, "marker": _MARKERS[index % len(_MARKERS)]}
                at_k = own["probe"] == K_SPARSE
                n_cut += _through(ax, own[at_k], "k", span, look | {"linestyle": style})
                n_cut += _through(ax, own[~at_k], "k", span, look | {"linestyle": ""})
            _through(ax, rows[rows["probe"] == _AT_K], "k", span, _PUBLISHED)
            limit(ax, span)
            few_ticks(ax)
            _k_axis(ax, ks, most)
        grid.label(x="Features that a probe reads (k)", y=AUC)
        legend_above(grid.figure, _named(colours, best, pca))
    counts = sparse.groupby(["model", "hook", "sae"])["seed"].nunique()
    notes = (seeds_note(counts), *over_note(sparse), *notes, *fewer, *cut_note(n_cut))
    return Drawing(grid.figure, of_saes(drawn), notes)


def _with_saes(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of hooks that have SAEs."""
    return table[table["hook"].isin(table.loc[table["sae"] != "", "hook"])]


def _k_axis(ax: Axes, ks: Sequence[int], most: int) -> None:
    """Label some of the k, and where all features stand."""
    step = -(-len(ks) // 4)
    shown = ks[::step]
    ax.set_xticks([*shown, most], [*(short(k) for k in shown), "all"])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim((ks[0] if ks else 1) / 1.5, most * 1.5)


def _named(colours: Mapping[str, tuple], best: pd.DataFrame, pca: pd.DataFrame) -> list[Line2D]:
    handles = [
        Line2D([], [], color=colour, linestyle=style, marker=_MARKERS[i % len(_MARKERS)],
               markersize=3, label=name)
        for i, (name, (colour, style)) in enumerate(colours.items())
    ]  # fmt: skip
    if len(best):
        handles.append(Line2D([], [], label="states, best probe", **_BEST))
    if len(pca):
        handles.append(Line2D([], [], label="states, k principal components", **_PUBLISHED))
    return handles


def sparsity_curves(table: pd.DataFrame) -> Drawing:
    """Draw a panel per hook: AUC of codes against L0, a line per architecture and width."""
    kept = (table["setting"] == NORMAL) & (table["pooling"] == "last")
    table = of_several(table[kept & (table["probe"] == PUBLISHED)])
    table, fewer = shown_hooks(_with_saes(table))
    codes = learned(table[table["input"] == CODES])
    codes, notes = finite(codes, ["auc", "l0"], positive=["l0"])
    states = table[table["input"] == STATES]
    series = codes["architecture"] + ", " + codes["d_sae"].astype(int).map(str)
    codes = codes.assign(series=series).sort_values(["architecture", "d_sae", "l0"])
    with use_style():
        looks = _series_of(codes)
        both = pd.concat([codes, states[states["hook"].isin(codes["hook"])]])
        places = by_hook(both)
        grid = panel_grid(places, size=(1.9, 1.75))
        span, n_cut = span_of(both, "auc"), 0
        for (ax,), place in zip(grid.panels, places, strict=True):
            for value in place.rows.loc[place.rows["input"] == STATES, "auc"]:
                ax.axhline(value, zorder=1.5, **_BEST)
            own = place.rows[place.rows["input"] == CODES].astype({"l0": float})
            for name, look in looks.items():
                rows = own[own["series"] == name]
                rows = rows.assign(l0=rows.groupby("sae")["l0"].transform("mean"))
                n_cut += _through(ax, rows, "l0", span, look)
            limit(ax, span)
            few_ticks(ax)
            l0_axis(ax, codes["l0"])
        grid.label(x="L0 at probed tokens", y=AUC)
        named = [Line2D([], [], **look) for look in looks.values()]
        legend_above(grid.figure, [*named, Line2D([], [], label="states", **_BEST)])
    counts = codes.groupby(["model", "hook", "sae"])["seed"].nunique()
    drawn = both.drop(columns="series")
    notes = (seeds_note(counts), *over_note(codes), *notes, *fewer, *cut_note(n_cut))
    return Drawing(grid.figure, of_saes(drawn), notes)


def _series_of(codes: pd.DataFrame) -> dict[str, dict]:
    """Return how each architecture and width is drawn: its colour, lines and marks by width."""
    found = {}
    for name, look in architecture_looks(codes["architecture"]).items():
        own = codes[codes["architecture"] == name]
        for index, (width, rows) in enumerate(own.groupby("d_sae")):
            line = look._replace(variant=index)
            found[rows["series"].iloc[0]] = {
                **line.point(3.5), **line.line(), "linewidth": 0.8,
                "label": f"{line.label}, {int(width):,} features",
            }  # fmt: skip
    return found


def _through(ax: Axes, rows: pd.DataFrame, x: str, span: Span, look: Mapping) -> int:
    """Draw a line through the means at each x, with strokes for intervals; return what is cut."""
    if rows.empty:
        return 0
    means = rows.groupby(x)["auc"].mean()
    ax.plot(means, zorder=2.5, **{"markersize": 3, "linewidth": 0.9, **look})
    strokes(ax, rows, x, "auc", look["color"])
    return mark_cut(ax, rows[x], rows, "auc", span)
