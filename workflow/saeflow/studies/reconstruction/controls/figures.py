"""The loss with SAEs beside that with other errors, by layer, and which SAEs that is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from saeflow.figures.axes import (
    Span,
    arms,
    cut_note,
    layer_axis,
    limit,
    log_ticks,
    mark_cut,
    span_of,
)
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.layers import GROUP_WIDTH, layers_of
from saeflow.figures.legends import method_legend
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import by_recipe, learned
from saeflow.figures.style import MUTED, SERIES, Look, use_style

_SLOT = 0.06  # inches, of a kind of error
_ADDED = "added"
_PCA = "pca"
_ALIKE = 2.0  # times the size, or a half: so far a PCA is one of the same size


class _Kind(NamedTuple):
    """A kind of error: the column with the loss that it adds, and how it is drawn."""

    column: str
    look: Look


_KINDS = {
    "sae": _Kind("controls_delta_ce", Look(SERIES[0], "o", "SAE")),
    "norm": _Kind(
        "delta_ce_random_norm", Look(SERIES[1], "^", "random error, equal norm")
    ),
    "cosine": _Kind(
        "delta_ce_random_cosine", Look(SERIES[4], "v", "random error, equal norm and cosine")
    ),
    _PCA: _Kind("controls_delta_ce", Look(SERIES[2], "D", "PCA of about that size")),
    "mean": _Kind("delta_ce_mean", Look(MUTED, "s", "mean")),
    "zero": _Kind("delta_ce_zero", Look("#b8b8b8", "X", "zero")),
}  # fmt: skip


def beside_real(table: pd.DataFrame) -> pd.DataFrame:
    """Select all rows, those of a shuffled model under the name of the real one."""
    return table.assign(model=table["of_model"])


def controls_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw a panel per model and recipe (and site): added loss by layer, a line per kind of error.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae, seed, method, baseline, l0, and those of `_KINDS`
        with their intervals.
    """
    long, sizes = _long(table)
    long, notes = finite(long, [_ADDED], positive=[_ADDED])
    with use_style():
        looks = {kind: _KINDS[kind].look for kind in _KINDS if kind in set(long["kind"])}
        places = by_recipe(long)
        layers = layers_of(places, len(looks) * _SLOT / GROUP_WIDTH)
        grid = panel_grid(places, size=(2.0, 2.1), widths=layers.widths, sharex=layers.sharex)
        span, n_cut = span_of(long, _ADDED, log=True), 0
        for (ax,), place, width in zip(grid.panels, places, grid.widths, strict=True):
            ax.set_yscale("log")
            at = layer_axis(ax, layers.blocks(place), width)
            n_cut += _lines(ax, place.rows, at, looks, span)
            limit(ax, span)
            log_ticks(ax.yaxis)
        grid.label(x=layers.label, y="Added loss (nats/token)")
        method_legend(grid.figure, looks)
    counts = learned(table).groupby(["model", "hook", "sae"]).size()
    seeds = seeds_note(counts)
    return Drawing(grid.figure, learned(table), (seeds, *sizes, *notes, *cut_note(n_cut)))


def _long(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a row per SAE and kind of error, and a note on the sizes of PCAs."""
    parts = []
    keys = ["model", "hook", "site", "block", "sae", "seed"]
    for kind, (column, _) in _KINDS.items():
        rows = learned(table) if kind != _PCA else _nearest(table)
        ends = {f"{column}{end}": f"{_ADDED}{end}" for end in ("", "_low", "_high")}
        wanted = [*keys, *(["l0", "of_l0"] if kind == _PCA else [])]
        parts.append(rows[[*wanted, *ends]].rename(columns=ends).assign(kind=kind))
    pca, note = parts[list(_KINDS).index(_PCA)], ()
    if len(pca):
        ratio = (pca["l0"] / pca["of_l0"]).astype(float)
        low, high = f"{ratio.min():.2g}", f"{ratio.max():.2g}"
        times = low if low == high else f"{low} to {high}"
        note = (f"PCAs have {times} times as many components as the SAE beside them has L0.",)
    found = pd.concat([part for part in parts if len(part)], ignore_index=True)
    values = [_ADDED, f"{_ADDED}_low", f"{_ADDED}_high"]
    found[values] = found[values].astype(float)
    return found, note


def _nearest(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each SAE the PCA of its hook and seed whose size is the nearest, as its own row.

    Sizes are compared by their ratio, which is two at most; ``of_l0`` is the SAE's.
    """
    pcas = table[table["baseline"] == _PCA]
    rows = list(_pairs(learned(table), pcas))
    return pd.DataFrame(rows, columns=[*table.columns, "of_l0"])


def _pairs(saes: pd.DataFrame, pcas: pd.DataFrame) -> Iterator[pd.Series]:
    for _, sae in saes.iterrows():
        same = pcas[(pcas["model"] == sae["model"]) & (pcas["hook"] == sae["hook"])]
        same = same[same["seed"] == sae["seed"]] if (same["seed"] == sae["seed"]).any() else same
        if same.empty or not sae["l0"] > 0:
            continue
        distance = np.abs(np.log(same["l0"].astype(float) / sae["l0"]))
        if distance.min() > np.log(_ALIKE):
            continue
        found = same.loc[distance.idxmin()]
        yield pd.concat([found.drop("sae"), pd.Series({"sae": sae["sae"], "of_l0": sae["l0"]})])


def _lines(
    ax: Axes,
    chosen: pd.DataFrame,
    positions: Mapping[int, int],
    looks: Mapping[str, Look],
    span: Span,
) -> int:
    n_cut, shift = 0, 0.5 / len(looks)  # so that strokes do not hide one another
    for index, (kind, look) in enumerate(looks.items()):
        rows = chosen[chosen["kind"] == kind]
        if rows.empty:
            continue
        below, above = arms(rows, _ADDED)
        value = rows[_ADDED].to_numpy()
        rows = rows.assign(
            x=rows["block"].map(positions) + (index - (len(looks) - 1) / 2) * shift,
            low=np.where(value > below, value - below, span.low),
            high=value + above,
        )
        at = rows.groupby("x")
        ax.plot(
            at[_ADDED].mean(), linewidth=0.8, zorder=2.5, **(look.point(3.5) | {"linestyle": "-"})
        )
        ends = at["low"].min(), at["high"].max()
        ax.vlines(ends[0].index, *ends, color=look.colour, linewidth=0.6, zorder=2)
        n_cut += mark_cut(ax, rows["x"], rows, _ADDED, span)
    return n_cut
