"""How many facts SAEs capture: by layer, sparsity and width, and how well they tell the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from saeflow.figures.axes import arms, few_ticks, layer_axis, log_ticks, strokes
from saeflow.figures.drawing import Drawing, finite, seeds_note
from saeflow.figures.frontier import frontier
from saeflow.figures.layers import GROUP_WIDTH, layers_of
from saeflow.figures.legends import legend_above
from saeflow.figures.panels import panel_grid
from saeflow.figures.places import Place, by_hook, learned, shown_hooks, sites_of
from saeflow.figures.style import INK, REFERENCE, Look, use_style
from saeflow.studies.classification.facts import CAPTURED, EVERY, TRAINED
from saeflow.studies.classification.facts.looks import PROBE, best_place, looks_of, named
from saeflow.world.facts import KINDS

_SLOT = 0.05  # inches, of a series at a layer


def every_kind(table: pd.DataFrame) -> pd.DataFrame:
    """Select the rows that are about all facts together."""
    return table[table["kind"] == EVERY]


def beside_shuffled(table: pd.DataFrame) -> pd.DataFrame:
    """Select all rows, those of a shuffled model last, as SAEs of the real one with its name."""
    table = table.sort_values("weights", key=lambda names: names != TRAINED, kind="stable")
    real = table["weights"] == TRAINED
    names = table["sae"].where(real, table["sae"] + ", " + table["weights"])
    return table.assign(model=table["of_model"], sae=names)


def captured_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw a panel per kind of facts (and model and site): facts captured by layer, a line each."""
    table, odd = finite(named(table), ["captured"])
    with use_style():
        looks, places = looks_of(table), list(_by_kind(table))
        layers = layers_of(places, (len(looks) + 1) * _SLOT / GROUP_WIDTH)
        grid = panel_grid(
            places, size=(1.75, 1.9), widths=layers.widths, sharex=layers.sharex, sharey=False
        )
        for (ax,), place, width in zip(grid.panels, places, grid.widths, strict=True):
            at = layer_axis(ax, layers.blocks(place), width)
            _lines(ax, place.rows, at, looks)
            real = place.rows[place.rows["weights"] == TRAINED]
            probed = real.groupby(real["block"].map(at))["captured_probe"].mean()
            half = GROUP_WIDTH / 2
            ax.hlines(probed, probed.index - half, probed.index + half, color=INK, linewidth=1.0)
            ax.set_ylim(np.array([-0.04, 1.04]) * place.rows["n_facts"].max())
            ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        grid.label(x=layers.label, y="Facts captured")
        handles = [
            Line2D([], [], label=look.label, **(look.point(3.5) | {"linestyle": "-"}))
            for look in looks.values()
        ]
        probe = Line2D([], [], color=INK, linewidth=1.0, label=PROBE)
        legend_above(grid.figure, [*handles, probe])
    counts = every_kind(table).groupby(["model", "hook", "series"]).size()
    seeds = seeds_note(counts, mean="Points are")
    return Drawing(grid.figure, table.drop(columns="series"), (seeds, *odd))


def _by_kind(table: pd.DataFrame) -> Iterator[Place]:
    several = {name: table[name].nunique() > 1 for name in ("model", "site")}
    for model in table["model"].unique():
        for site in sites_of(table):
            for kind in (*KINDS, EVERY):
                rows = table[
                    (table["model"] == model) & (table["site"] == site) & (table["kind"] == kind)
                ]
                if rows.empty:
                    continue
                place = {"model": model, "site": site}
                names = [place[name] for name, many in several.items() if many]
                title = ", ".join([*names, f"{kind} facts ({rows['n_facts'].max()})"])
                yield Place((model, site), kind, title, rows)


def _lines(ax: Axes, rows: pd.DataFrame, at: Mapping[int, int], looks: Mapping[str, Look]) -> None:
    shift = GROUP_WIDTH / max(1, len(looks))
    for index, (name, look) in enumerate(looks.items()):
        own = rows[rows["series"] == name]
        if own.empty:
            continue
        own = own.assign(x=own["block"].map(at) + (index - (len(looks) - 1) / 2) * shift)
        style = look.point(3.5) | {"linestyle": "-"}
        ax.plot(own.groupby("x")["captured"].mean(), linewidth=0.8, zorder=3, **style)
        strokes(ax, own, "x", "captured", look.colour, width=0.7)


def captured_by_l0(table: pd.DataFrame, *, labels: Mapping[str, str]) -> Drawing:
    """Draw a panel per hook: facts captured against L0, SAEs and baselines by their names."""
    own = table.assign(l0_low=table["l0"], l0_high=table["l0"])
    drawing = frontier(own, value="captured", labels={**labels, "captured": "Facts captured"})
    for legend in drawing.figure.legends:  # of methods, of which there is one
        legend.remove()
    return drawing


def f1_distribution(table: pd.DataFrame) -> Drawing:
    """Draw a panel per kind: how many facts have at least which F1, a curve per SAE and baseline.

    The hook is drawn at which an SAE has the highest mean F1.
    """
    table, odd = finite(named(table), ["fact_f1"])
    model, hook, _ = best_place(table, "fact_f1")
    looks = looks_of(table)
    rows = table[(table["model"] == model) & (table["hook"] == hook)]
    with use_style():
        places = [
            Place(("",), kind, f"{kind} facts", own)
            for kind in KINDS
            if len(own := rows[rows["kind"] == kind])
        ]
        grid = panel_grid(places, size=(2.4, 2.1), sharey=False)
        for (ax,), place in zip(grid.panels, places, strict=True):
            for name, look in looks.items():
                own = place.rows[place.rows["series"] == name]
                if len(own):
                    _at_least(ax, own.groupby("fact")["fact_f1"].mean(), look.line())
            probed = place.rows.groupby("fact")["fact_f1_probe"].mean()
            _at_least(ax, probed, {"color": INK, "linestyle": "--"})
            ax.axvline(CAPTURED, **(REFERENCE | {"linestyle": ":"}))
            ax.set_xlim(0, 1)
            few_ticks(ax)
        grid.label(x="F1 of the best latent", y="Facts with at least this F1")
        handles = [Line2D([], [], label=look.label, **look.line()) for look in looks.values()]
        probe = Line2D([], [], color=INK, linestyle="--", label=PROBE)
        legend_above(grid.figure, [*handles, probe])
    where = f"Shown is {hook}" + (f" of {model}" if table["model"].nunique() > 1 else "")
    n_seeds = rows["seed"].nunique()
    seeds = (f"F1 are means over {n_seeds} seeds.",) if n_seeds > 1 else ()
    chosen = (f"{where}, where an SAE's mean F1 is highest; the table has all hooks.",)
    several = table["hook"].nunique() > 1 or table["model"].nunique() > 1
    notes = (*(chosen if several else ()), *seeds, *odd)
    return Drawing(grid.figure, rows.drop(columns="series"), notes)


def _at_least(ax: Axes, values: pd.Series, line: Mapping[str, object]) -> None:
    """Draw how many values are at least so large."""
    rising = np.sort(values.dropna().to_numpy(float))
    x = np.concatenate([[0.0], rising, [1.0]])
    y = np.concatenate([[len(rising)], np.arange(len(rising), 0, -1), [0]])
    ax.step(x, y, where="pre", linewidth=1.0, **line)


def splitting_by_width(table: pd.DataFrame) -> Drawing:
    """Draw two panels per hook against the width: latents that tell a fact, and absorption."""
    table, odd = finite(named(learned(table)), ["n_latents", "fact_absorption"])
    table, fewer = shown_hooks(table)
    with use_style():
        looks, places = looks_of(table), by_hook(table)
        grid = panel_grid(places, size=(1.9, 1.5), stacked=2)
        for panel, place in zip(grid.panels, places, strict=True):
            for ax, value in zip(panel, ("n_latents", "fact_absorption"), strict=True):
                for name, look in looks.items():
                    own = place.rows[place.rows["series"] == name]
                    error = arms(own, value) if f"{value}_low" in own else None
                    ax.errorbar(
                        own["d_sae"], own[value], yerr=error, elinewidth=0.7, **look.point()
                    )
                ax.set_xscale("log")
                ax.set_xlim(table["d_sae"].min() / 1.5, table["d_sae"].max() * 1.5)
                ends = table[f"{value}_high"] if error is not None else table[value]
                ax.set_ylim(0, 1.08 * ends.max())
                log_ticks(ax.xaxis)
                few_ticks(ax)
        grid.label(x="Width (latents)", y=("Latents per fact", "Absorption"))
        handles = [Line2D([], [], label=look.label, **look.point()) for look in looks.values()]
        legend_above(grid.figure, handles)
    return Drawing(grid.figure, table.drop(columns="series"), (*fewer, *odd))
