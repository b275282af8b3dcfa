"""Four experiments with toys: what the theory says, and what training gave."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saeflow.figures.axes import log_ticks
from saeflow.figures.drawing import Drawing
from saeflow.figures.style import INK, SERIES, use_style
from saeflow.studies.suppression.theory import (
    SWEEP,
    dilution,
    learned_activation,
    shrinkage,
    tuned_scale,
)

_ENCODER, _BIAS, _EVERYTHING = "encoder", "encoder and b_dec", "everything"
_POINT = {"linestyle": "", "marker": "o", "markersize": 3.0}
_HOLLOW = {**_POINT, "markerfacecolor": "none", "markeredgewidth": 0.7, "markersize": 5.0}
_CROSS = {"linestyle": "", "marker": "x", "markersize": 3.5, "color": "#8a8a8a", "zorder": 1.5}
_LINE = {"linewidth": 0.9}
_LEGEND = {"fontsize": 6, "handlelength": 1.2, "labelspacing": 0.3, "borderpad": 0.2}


def theory(table: pd.DataFrame) -> Drawing:
    """Draw lines for predictions and points for latents that were trained."""
    with use_style():
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        axes = figure.subplots(2, 2).flat
        panels = (
            ("Strength", _strength, "apart"),
            ("Interference", _interference, "interfering"),
            ("Coefficient", _coefficient, SWEEP),
            ("Noise", _noise, "noise"),
        )
        for ax, (title, panel, experiment) in zip(axes, panels, strict=True):
            ax.set_title(title)
            panel(ax, table[table["experiment"] == experiment])
            ax.legend(**_LEGEND, **({"loc": "upper right", "ncols": 3} if panel is _noise else {}))
    return Drawing(figure, table)


def _series(table: pd.DataFrame) -> list[tuple[str, float | None, bool, str]]:
    """Return what is trained, the frequency that matters there, whether the bias is, a colour."""
    rates = sorted(table["p"].unique())
    of_bias = [(_BIAS, p, True, SERIES[1 + i % 4]) for i, p in enumerate(rates)]
    return [(_ENCODER, None, False, SERIES[0]), *of_bias]


def _rows_of(table: pd.DataFrame, trained: str, p: float | None) -> pd.DataFrame:
    rows = table[table["trained"] == trained]
    return rows if p is None else rows[rows["p"] == p]


def _name(p: float | None) -> str:
    return "encoder trained" if p is None else f"and b_dec, p = {p:.2g}"


def _strength(ax: Axes, table: pd.DataFrame) -> None:
    table = table[table["c"] == table["c"].max()]
    c, d = table["c"].iloc[0], table["d"].iloc[0]
    g = np.linspace(0, table["g"].max(), 400)
    for trained, p, bias, colour in _series(table):
        rows = _rows_of(table, trained, p)
        ax.plot(g, learned_activation(g, c, d, p or 0.0, bias=bias), color=colour, **_LINE)
        name = _name(p)
        ax.plot(rows["g"], rows["simulated"], color=colour, label=name, **_POINT)
    rows = table[table["trained"] == _EVERYTHING]
    ax.plot(rows["g"], rows["simulated"], label="everything trained", **_CROSS)
    ax.axline((0, 0), slope=1, color=INK, linewidth=0.6, linestyle=(0, (1, 2)))
    ax.set(xlabel=f"Strength of the feature, c d / 2 = {c * d / 2:.3g}", ylabel="Activation")


def _interference(ax: Axes, table: pd.DataFrame) -> None:
    ax.axline((0, 0), slope=1, color=INK, label="as predicted", **_LINE)
    for i, (overlap, rows) in enumerate(table.groupby("overlap")):
        for trained, style in (("sizes", _POINT), (_ENCODER, _HOLLOW)):
            chosen = rows[rows["trained"] == trained]
            label = f"cosine {overlap:.2g}" if trained == "sizes" else None
            colour = SERIES[i % len(SERIES)]
            ax.plot(chosen["predicted"], chosen["simulated"], color=colour, label=label, **style)
    ax.plot([], [], color=INK, label="encoder trained", **_HOLLOW)
    ax.set(xlabel="Activation, predicted", ylabel="Activation, trained")


def _coefficient(ax: Axes, table: pd.DataFrame) -> None:
    ends = np.array([0.0, table["half_cd"].max()])
    for trained, p, bias, colour in _series(table):
        rows = _rows_of(table, trained, p)
        ax.plot(ends, ends * shrinkage(2.0, 1, p or 0.0, bias=bias), color=colour, **_LINE)
        found = rows["slope"].mean()
        label = f"{_name(p)}: slope {found:.3f}"
        ax.plot(rows["half_cd"], rows["simulated"], color=colour, label=label, **_POINT)
    rows = table[table["trained"] == _EVERYTHING]
    ax.plot(rows["half_cd"], rows["simulated"], label="everything trained", **_CROSS)
    ax.set(xlabel="c d / 2", ylabel="Taken from the latent")


def _noise(ax: Axes, table: pd.DataFrame) -> None:
    noise = np.linspace(0, table["noise"].max(), 100)
    c, d = table["c"].iloc[0], table["d"].iloc[0]
    for i, (g, rows) in enumerate(table.groupby("g")):
        colour = SERIES[i % len(SERIES)]
        ax.plot(noise, tuned_scale(g, c, d) * dilution(1.0, noise), color=colour, **_LINE)
        ax.plot(rows["noise"], rows["simulated"], color=colour, label=f"strength {g:g}", **_POINT)
    ax.axhline(1.0, color=INK, linewidth=0.6, linestyle=(0, (1, 2)))
    ax.set_yscale("log")
    ax.set_ylim(top=1.5 * table["simulated"].max())  # room for the legend
    log_ticks(ax.yaxis)
    ax.set(xlabel="Noise / activation", ylabel="Fitted scale")
