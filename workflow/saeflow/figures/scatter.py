"""Live latents by frequency and strength, coloured by what fine-tuning did to them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from saeflow.errors import DataError
from saeflow.figures.panels import by_place, label_outer, panel_grid, require_rows
from saeflow.figures.style import use_style

_MAP = "viridis"
_QUANTILES = (0.02, 0.98)
_FIT = "decoder"


class Colour(NamedTuple):
    """What the colour of a point says.

    Attributes
    ----------
    column : str
        Of the table.
    label : str
        Of the colour bar.
    low : float | None
        Where the scale begins whatever the data; values below it have its first colour. Without
        it the scale spans the central 96 % of the values of the figure.
    is_factor : bool
        Whether the values are factors, of which the scale is logarithmic.
    """

    column: str
    label: str
    low: float | None = None
    is_factor: bool = False


def scatter(table: pd.DataFrame, colour: Colour) -> Figure:
    """Draw the table of latents: one panel per hook and recipe.

    The latents are those of the SAEs whose decoder was fine-tuned: in closed form where there is
    one, else by steps.
    """
    require_rows(table, colour.label)
    table = decoder_tuned(table)
    with use_style():
        places = table["hook"] + ", " + table["sae"]
        titles, parts = by_place(table, places)
        figure, panels = panel_grid(titles, panel_size=(1.75, 1.65))
        norm = _norm(table[colour.column], colour)
        points: Any = None
        for key, ax in panels.items():
            chosen = parts[key]
            points = ax.scatter(
                chosen["log10_frequency"], chosen["strength"], c=chosen[colour.column],
                cmap=_MAP, norm=norm, s=5, linewidths=0,
            )  # fmt: skip
            ax.set_yscale("log")
        label_outer(panels.values(), x="log10 frequency", y="Mean activation\nwhere active")
        bar = figure.colorbar(
            points, ax=list(panels.values()), label=colour.label, extend=_extend(colour), pad=0.01
        )
        if colour.is_factor:
            bar.ax.yaxis.set_major_formatter("{x:g}")
            bar.ax.yaxis.set_minor_formatter("{x:g}")
    return figure


def decoder_tuned(table: pd.DataFrame) -> pd.DataFrame:
    """Return the live latents of SAEs whose decoder was fitted, by the better of two solvers."""
    chosen = table[table["live"] & (table["fit"] == _FIT)]
    if chosen.empty:
        raise DataError(
            "no SAE of the study had its decoder fine-tuned",
            remedy="Add a method with `method: decoder` to the study.",
        )
    solvers = set(chosen["solver"])
    return chosen[chosen["solver"] == ("exact" if "exact" in solvers else "steps")]


def _norm(values: pd.Series, colour: Colour) -> Normalize:
    found = np.quantile(values.dropna(), _QUANTILES) if values.notna().any() else (0.5, 1.0)
    if colour.low is not None:
        found = (colour.low, 1.0)
    return LogNorm(*found) if colour.is_factor else Normalize(*found)


def _extend(colour: Colour) -> str:
    return "both" if colour.low is None else "min"
