"""The figures that only this study has: latents against what the theory says, and the post's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from saeflow.errors import DataError
from saeflow.figures.axes import (
    Span,
    arms,
    cut_note,
    few_ticks,
    layer_axis,
    limit,
    log_ticks,
    mark_cut,
    name_axis,
    span_of,
)
from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.layers import Layers, layers_of
from saeflow.figures.legends import legend_above, method_legend
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, by_hook, by_recipe, by_recipe_and_hook, shown_hooks
from saeflow.figures.scatter import scatter
from saeflow.figures.style import GUIDE, INK, REFERENCE, SERIES, Look, method_looks, use_style
from saeflow.figures.texts import fit

_CAUSES = {"strength": (SERIES[1], "log strength"), "frequency": (SERIES[0], "log frequency")}
_KINDS = {"plain": "full", "partial": "none"}
_SOLVERS = {"steps": "by steps", "exact": "closed form"}
_METHODS = ("baseline", "scale", "unrotated_decoder", "decoder")
_POINT = 0.05  # inches
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


def increase_of_latents(table: pd.DataFrame) -> Drawing:
    """Draw latents in the colour of what scaling adds to their strength.

    As a share of what is predicted, which makes SAEs of several penalties comparable, where all
    have a prediction.
    """
    if table["predicted"].isna().any():
        return scatter(table, value="increase", label="Additive increase")
    table = table.assign(share=table["increase"] / table["predicted"])
    return scatter(table, value="share", label="Increase / predicted")


def scaling_and_theory(table: pd.DataFrame) -> Drawing:
    """Draw the scaling of latents against their strength, and the curve of the theory.

    Strengths are in units of the predicted shift, in which all laws have one curve: a feature that
    was made weaker by s, to a mean activation of a, is scaled back by (a + s) / a.
    """
    table = table.assign(strength=table["strength"] / table["predicted"])
    table, odd = finite(table, ["strength", "scaling"], positive=["strength", "scaling"])
    table, fewer = shown_hooks(table, table.groupby(["model", "sae"]).ngroups)
    with use_style():
        places = by_recipe_and_hook(table)
        grid = panel_grid(places, size=(1.75, 1.65))
        for (ax,), place in zip(grid.panels, places, strict=True):
            rows = place.rows
            a = np.geomspace(rows["strength"].min(), rows["strength"].max(), 100)
            ax.plot(rows["strength"], rows["scaling"], **_LATENT)
            ax.plot(a, 1 + 1 / a, **_CURVE)
            ax.set_xscale("log")
            ax.set_yscale("log")
        for ax in grid.axes:
            for axis in (ax.xaxis, ax.yaxis):
                log_ticks(axis)
        grid.label(x="Strength / predicted shift", y="Scaling")
        handles = [
            Line2D([], [], **{**_LATENT, "markersize": 3}, label="a latent"),
            Line2D([], [], label="theory, one feature", **_CURVE),
        ]
        legend_above(grid.figure, handles)
    return Drawing(grid.figure, table, (*odd, *fewer))


def of_decoders(table: pd.DataFrame) -> pd.DataFrame:
    """Select the correlations that are drawn: plain and partial ones of fine-tuned decoders."""
    return table[
        (table["fit"] == "decoder") & table["solver"].isin(_SOLVERS) & table["kind"].isin(_KINDS)
    ]


def correlations(table: pd.DataFrame) -> Drawing:
    """Draw correlations: a row of panels per recipe, in it a panel per effect and solver.

    Hollow points are partial correlations, with the other cause held. Where there are several
    sites, effects and solvers have rows, and sites columns.
    """
    table, odd = finite(table, ["r"])
    with use_style():
        places = _of_effects(table)
        layers = layers_of(places, len(_CAUSES) * len(_KINDS) * _POINT)
        grid = panel_grid(places, size=(1.9, 1.65), widths=layers.widths, sharex=layers.sharex)
        for (ax,), place, width in zip(grid.panels, places, grid.widths, strict=True):
            _correlations(ax, place.rows, layer_axis(ax, layers.blocks(place), width), layers)
        grid.label(x=layers.label, y="Pearson r")
        common = {"linestyle": "", "marker": "o", "markersize": 3.5}
        handles = [
            Line2D([], [], color=colour, label=name, **common) for colour, name in _CAUSES.values()
        ]
        held = Line2D([], [], color=INK, fillstyle="none", label="the other held", **common)
        legend_above(grid.figure, [*handles, held])
    return Drawing(grid.figure, table, odd)


def _of_effects(table: pd.DataFrame) -> list[Place]:
    """Return the panels recipe by recipe, in each effect by effect and solver by solver."""
    one_site = table["site"].nunique() == 1
    found: dict[tuple[str, str], dict[str, list[Place]]] = {}
    whats = [f"{effect}, {s}" for effect in table["effect"].unique() for s in _SOLVERS.values()]
    for place in by_recipe(table):
        recipe = (str(place.rows["model"].iloc[0]), str(place.rows["sae"].iloc[0]))
        of_recipe = found.setdefault(recipe, {what: [] for what in whats})
        for (effect, solver), rows in place.rows.groupby(["effect", "solver"], sort=False):
            what = f"{effect}, {_SOLVERS[solver]}"
            row, column = (recipe, what) if one_site else ((*recipe, what), place.column)
            of_recipe[what].append(Place(row, column, f"{place.title}: {what}", rows))
    return [place for own in found.values() for places in own.values() for place in places]


def _correlations(
    ax: Axes, chosen: pd.DataFrame, positions: Mapping[int, int], layers: Layers
) -> None:
    ax.axhline(0, **GUIDE)
    combinations = [(cause, kind) for cause in _CAUSES for kind in _KINDS]
    step = _GROUP_WIDTH / len(combinations)
    size = max(1.8, min(3.5, 72 * layers.inch * step))
    for index, (cause, kind) in enumerate(combinations):
        rows = chosen[(chosen["cause"] == cause) & (chosen["kind"] == kind)]
        x = rows["block"].map(positions).astype(float) + (index - 1.5) * step
        ax.errorbar(
            x, rows["r"], yerr=arms(rows, "r"), linestyle="", marker="o",
            markersize=size, color=_CAUSES[cause][0], fillstyle=_KINDS[kind], elinewidth=0.8,
        )  # fmt: skip
    ax.set_ylim(-1.05, 1.05)


def with_law(table: pd.DataFrame) -> pd.DataFrame:
    """Select the shifts of SAEs whose loss predicts one."""
    return table[table["predicted"].notna()]


def shift_by_penalty(table: pd.DataFrame) -> Drawing:
    """Draw medians and quartiles over live latents, a group per recipe in order of its shift.

    Dashed: the increase is as predicted.
    """
    table, odd = finite(table, ["share"])
    table, fewer = shown_hooks(table)
    with use_style():
        looks, places, n_cut = method_looks(table["method"]), by_hook(table), 0
        predicted = table.groupby("sae", sort=False)["predicted"]
        recipes = predicted.mean().sort_values(kind="stable").index.tolist()
        # recipes that scale their inputs have another shift at each hook
        alike = bool((predicted.nunique() == 1).all())
        width = max(1.9, len(recipes) * (0.2 + 0.05 * len(looks)))
        grid = panel_grid(places, size=(width, 1.75), sharex=alike)
        span = span_of(table, "share", base=1.0).over(Span(0.0, 1.0))
        taller = 0.0
        for (ax,), place, inside in zip(grid.panels, places, grid.widths, strict=True):
            n_cut += _increases(ax, place.rows, recipes, looks, span)
            limit(ax, span)
            few_ticks(ax)
            found = (table if alike else place.rows).groupby("sae")["predicted"].mean()
            names = [_with_shift(name, found) for name in recipes]
            taller = max(taller, name_axis(ax, names, inside))
        grid.add_below(taller)
        grid.label(x="SAE, and its predicted shift", y="Increase / predicted")
        method_legend(grid.figure, looks, Line2D([], [], label="as predicted", **REFERENCE))
    return Drawing(grid.figure, table, (*odd, *fewer, *cut_note(n_cut)))


def _with_shift(name: str, predicted: pd.Series) -> str:
    return f"{name}\n{predicted[name]:.3g}" if name in predicted else name


def _increases(
    ax: Axes, chosen: pd.DataFrame, recipes: Sequence[str], looks: Mapping[str, Look], span: Span
) -> int:
    ax.axhline(1.0, **REFERENCE)
    ax.axhline(0.0, **GUIDE)
    width = _GROUP_WIDTH / len(looks)
    n_cut = 0
    for index, (method, look) in enumerate(looks.items()):
        rows = chosen[chosen["method"] == method]
        if rows.empty:
            continue
        at = rows["sae"].map(recipes.index).astype(float)
        at += (index - (len(looks) - 1) / 2) * width
        ax.errorbar(at, rows["share"], yerr=arms(rows, "share"), elinewidth=0.8, **look.point(4))
        n_cut += mark_cut(ax, at, rows, "share", span)
    return n_cut


def published_beside_ours(
    table: pd.DataFrame, *, values: Sequence[str], labels: Mapping[str, str]
) -> Drawing:
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
    claims = [f"{effect}, {method}" for effect in values for method in _METHODS]
    table = table[table["claim"].isin(claims)]
    found = table.rename(columns={"lowest": "ours_low", "highest": "ours_high"})
    found = found.set_index("claim").reindex(claims)
    with use_style():
        figure = Figure(figsize=(5.2, 2.4), layout="constrained")
        axes = figure.subplots(1, len(values), squeeze=False)[0]
        looks, n_cut = method_looks(_METHODS), 0
        for ax, effect in zip(axes, values, strict=True):
            rows = found.loc[[f"{effect}, {method}" for method in _METHODS]]
            x = np.arange(len(_METHODS))
            ours = rows["ours"].notna().to_numpy()
            span = Span(min(0.0, rows["published"].min()), rows["published"].max())
            if ours.any():
                span = span_of(rows[ours], "ours", base=0.0).over(span)
            ax.axhline(0, **GUIDE)
            # a ratio of sums can lie outside the range of the single SAEs
            ax.vlines(x, rows["ours_low"], rows["ours_high"], color=_OURS["color"], linewidth=0.8)
            ax.plot(x, rows["ours"], linestyle="", **_OURS)
            n_cut += mark_cut(ax, x[ours], rows[ours], "ours", span)
            ax.plot(x, rows["published"], linestyle="", zorder=3, **_PUBLISHED)
            limit(ax, span)
            few_ticks(ax)
            ax.set_xticks(x, [looks[m].label.replace(" ", "\n") for m in _METHODS])
            ax.set_xlim(-0.5, len(_METHODS) - 0.5)
            fit(ax.set_ylabel(labels[effect]), 1.5)
        handles = [
            Line2D([], [], linestyle="", label="published (Pythia-70m)", **_PUBLISHED),
            Line2D([], [], linestyle="", label="here, with the range over SAEs", **_OURS),
        ]
        legend_above(figure, handles)
    counts = sorted(set(table["n_saes"].astype(int))) if "n_saes" in table else []
    of = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0] if counts else 0}"
    note = (f"Ours are of {of} SAEs each.",) if counts else ()
    return Drawing(figure, table, (*note, *cut_note(n_cut)))
