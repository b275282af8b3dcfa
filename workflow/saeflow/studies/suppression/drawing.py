"""The figures that only this study has: latents against what the theory says, and the post's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.errors import DataError
from saeflow.figures.panels import (
    arms,
    by_place,
    few_ticks,
    label_outer,
    layer_axis,
    layer_label,
    legend_above,
    panel_grid,
)
from saeflow.figures.scatter import scatter
from saeflow.figures.style import INK, REFERENCE, SERIES, Look, method_looks, use_style

_CAUSES = {"strength": (SERIES[1], "log strength"), "frequency": (SERIES[0], "log frequency")}
_KINDS = {"plain": "full", "partial": "none"}
_SOLVERS = {"steps": "by steps", "exact": "closed form"}
_METHODS = ("baseline", "scale", "unrotated_decoder", "decoder")
_OFFSET = 0.12
_GROUP_WIDTH = 0.7
_CURVE = {"color": INK, "linewidth": 1.0}
_LATENT = {"color": SERIES[0], "marker": "o", "linestyle": "", "markersize": 1.5, "alpha": 0.6}
_PUBLISHED = {"color": INK, "marker": "_", "markersize": 14, "markeredgewidth": 1.6}
_OURS = {"color": SERIES[0], "marker": "o", "markersize": 5}


def decoder_tuned(table: pd.DataFrame) -> pd.DataFrame:
    """Select the live latents of SAEs whose decoder was fitted: in closed form, else by steps."""
    chosen = table[table["live"] & (table["fit"] == "decoder")]
    if chosen.empty:
        raise DataError(
            "no SAE of the study had its decoder fine-tuned",
            got=f"{table['fit'].nunique()} other fits",
            remedy="Add a method with `method: decoder` to the study.",
        )
    solvers = set(chosen["solver"])
    return chosen[chosen["solver"] == ("exact" if "exact" in solvers else "steps")]


def with_prediction(table: pd.DataFrame) -> pd.DataFrame:
    """Select those of `decoder_tuned` that their SAE's loss is predicted to have weakened."""
    chosen = decoder_tuned(table)
    return chosen[chosen["predicted"].notna() & (chosen["strength"] > 0)]


def increase_of_latents(table: pd.DataFrame) -> Figure:
    """Draw latents in the colour of what scaling adds to their strength.

    As a share of what is predicted, which makes SAEs of several penalties comparable, where all
    have a prediction.
    """
    if table["predicted"].isna().any():
        return scatter(table, value="increase", label="Additive increase")
    table = table.assign(share=table["increase"] / table["predicted"])
    return scatter(table, value="share", label="Increase / predicted")


def scaling_and_theory(table: pd.DataFrame) -> Figure:
    """Draw the scaling of latents against their strength, and the curve of the theory.

    Strengths are in units of the predicted shift, in which all laws have one curve: a feature that
    was made weaker by s, to a mean activation of a, is scaled back by (a + s) / a.
    """
    table = table.assign(strength=table["strength"] / table["predicted"])
    with use_style():
        titles, parts = by_place(table, table["hook"] + ", " + table["sae"])
        figure, panels = panel_grid(titles, panel_size=(1.75, 1.65))
        for key, ax in panels.items():
            chosen = parts[key]
            a = np.geomspace(chosen["strength"].min(), chosen["strength"].max(), 100)
            ax.plot(chosen["strength"], chosen["scaling"], **_LATENT)
            ax.plot(a, 1 + 1 / a, **_CURVE)
            ax.set_xscale("log")
            ax.set_yscale("log")
        label_outer(panels.values(), x="Strength / predicted shift", y="Scaling")
        handles = [
            Line2D([], [], **{**_LATENT, "markersize": 3}, label="a latent"),
            Line2D([], [], label="theory, one feature", **_CURVE),
        ]
        legend_above(figure, handles)
    return figure


def of_decoders(table: pd.DataFrame) -> pd.DataFrame:
    """Select the correlations that are drawn: plain and partial ones of fine-tuned decoders."""
    return table[
        (table["fit"] == "decoder") & table["solver"].isin(_SOLVERS) & table["kind"].isin(_KINDS)
    ]


def correlations(table: pd.DataFrame) -> Figure:
    """Draw correlations: one panel per effect, recipe and solver, a group of points per layer.

    Hollow points are partial correlations, with the other cause held.
    """
    table = table.sort_values("solver", key=lambda s: s.map(list(_SOLVERS).index), kind="stable")
    with use_style():
        places = table["effect"] + ", " + table["sae"] + "\n" + table["solver"].map(_SOLVERS)
        titles, parts = by_place(table, places)
        figure, panels = panel_grid(titles, panel_size=(1.9, 1.65))
        for key, ax in panels.items():
            _correlations(ax, parts[key], layer_axis(ax, table))
        label_outer(panels.values(), x=layer_label(table), y="Pearson r")
        common = {"linestyle": "", "marker": "o", "markersize": 3.5}
        handles = [
            Line2D([], [], color=colour, label=name, **common) for colour, name in _CAUSES.values()
        ]
        held = Line2D([], [], color=INK, fillstyle="none", label="the other held", **common)
        legend_above(figure, [*handles, held])
    return figure


def _correlations(ax: Axes, chosen: pd.DataFrame, positions: Mapping[str, int]) -> None:
    ax.axhline(0, color=INK, linewidth=0.6)
    combinations = [(cause, kind) for cause in _CAUSES for kind in _KINDS]
    for index, (cause, kind) in enumerate(combinations):
        rows = chosen[(chosen["cause"] == cause) & (chosen["kind"] == kind)]
        x = rows["hook"].map(positions).astype(float) + (index - 1.5) * _OFFSET
        ax.errorbar(
            x, rows["r"], yerr=arms(rows, "r"), linestyle="", marker="o",
            markersize=3.5, color=_CAUSES[cause][0], fillstyle=_KINDS[kind], elinewidth=0.8,
        )  # fmt: skip
    ax.set_ylim(-1.05, 1.05)


def with_law(table: pd.DataFrame) -> pd.DataFrame:
    """Select the shifts of SAEs whose loss predicts one."""
    return table[table["predicted"].notna()]


def shift_by_penalty(table: pd.DataFrame) -> Figure:
    """Draw medians and quartiles over live latents, a group per recipe in order of its shift.

    Dashed: the increase is as predicted.
    """
    with use_style():
        looks = method_looks(table["method"])
        titles, parts = by_place(table, table["hook"])
        predicted = table.groupby("sae", sort=False)["predicted"]
        recipes = predicted.mean().sort_values(kind="stable").index.tolist()
        # recipes that scale their inputs have another shift at each hook
        alike = bool((predicted.nunique() == 1).all())
        figure, panels = panel_grid(titles, panel_size=(1.9, 1.75), sharex=alike)
        for key, ax in panels.items():
            _increases(ax, parts[key], recipes, looks)
            few_ticks(ax)
            found = (table if alike else parts[key]).groupby("sae")["predicted"].mean()
            ax.set_xticks(range(len(recipes)), [_with_shift(name, found) for name in recipes])
        label_outer(panels.values(), x="SAE, and its predicted shift", y="Increase / predicted")
        handles = [
            Line2D([], [], color=look.colour, marker=look.marker, linestyle="", label=look.label)
            for look in looks.values()
        ]
        legend_above(figure, [*handles, Line2D([], [], label="as predicted", **REFERENCE)])
    return figure


def _with_shift(name: str, predicted: pd.Series) -> str:
    return f"{name}\n{predicted[name]:.3g}" if name in predicted else name


def _increases(
    ax: Axes, chosen: pd.DataFrame, recipes: Sequence[str], looks: Mapping[str, Look]
) -> None:
    ax.axhline(1.0, **REFERENCE)
    ax.axhline(0.0, color=INK, linewidth=0.6)
    width = _GROUP_WIDTH / len(looks)
    for index, (method, look) in enumerate(looks.items()):
        rows = chosen[chosen["method"] == method]
        at = rows["sae"].map(recipes.index).astype(float)
        ax.errorbar(
            at + (index - (len(looks) - 1) / 2) * width, rows["share"],
            yerr=arms(rows, "share"), linestyle="", color=look.colour, marker=look.marker,
            markersize=4, elinewidth=0.8,
        )  # fmt: skip
    ax.set_xlim(-0.6, len(recipes) - 0.4)


def published_beside_ours(
    table: pd.DataFrame, *, values: Sequence[str], labels: Mapping[str, str]
) -> Figure:
    """Draw the effects by method, over SAEs, and lines from the lowest to the highest SAE.

    Parameters
    ----------
    table
        The table of claims, among them one per effect and method.
    values
        The effects, metrics, of which each has a panel.
    labels
        Metric -> axis label.
    """
    with use_style():
        figure = Figure(figsize=(5.2, 2.4), layout="constrained")
        axes = figure.subplots(1, len(values))
        looks = method_looks(_METHODS)
        for ax, effect in zip(axes, values, strict=True):
            claims = table.set_index("claim").reindex([f"{effect}, {m}" for m in _METHODS])
            x = range(len(_METHODS))
            ax.axhline(0, color=INK, linewidth=0.6)
            # a ratio of sums can lie outside the range of the single SAEs
            ax.vlines(x, claims["lowest"], claims["highest"], color=_OURS["color"], linewidth=0.8)
            ax.plot(x, claims["ours"], linestyle="", **_OURS)
            ax.plot(x, claims["published"], linestyle="", zorder=3, **_PUBLISHED)
            ax.set_xticks(x, [looks[m].label.replace(" ", "\n") for m in _METHODS])
            ax.set_xlim(-0.5, len(_METHODS) - 0.5)
            ax.set_ylabel(labels[effect])
        handles = [
            Line2D([], [], linestyle="", label="published (Pythia-70m)", **_PUBLISHED),
            Line2D([], [], linestyle="", label="here, with the range over SAEs", **_OURS),
        ]
        legend_above(figure, handles)
    return figure
