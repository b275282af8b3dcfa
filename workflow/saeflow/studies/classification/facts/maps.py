"""How well single latents tell each fact, at each hook: a map per SAE, baselines beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from saeflow.figures.drawing import Drawing, finite
from saeflow.figures.panels import MAX_WIDTH
from saeflow.figures.places import learned, sites_of, spread
from saeflow.figures.style import INK, use_style
from saeflow.figures.texts import fit, inches
from saeflow.studies.classification.facts import CAPTURED
from saeflow.studies.classification.facts.looks import PROBE, looks_of, named
from saeflow.world.facts import KINDS

_MAP, _NOTHING = "viridis", "#dddddd"
_CELL = 0.22  # inches of a hook, with a number in it
_ROW = 0.125  # inches of a fact
_LEAST_PANEL, _MOST_PANEL = 0.85, 1.1  # without numbers
_MOST_NUMBERS = 6
_MOST_TICKS = 8
_DARK = 0.6
_ABOVE, _BETWEEN, _BAR = 0.75, 0.1, 0.7


def facts_by_hook(table: pd.DataFrame) -> Drawing:
    """Draw a map per SAE and baseline, facts down and hooks across, and one of linear probes."""
    table, odd = finite(named(table), ["fact_f1"])
    n_hooks = table.groupby(["model", "site"])["block"].nunique().max()
    cell = _CELL if n_hooks <= _MOST_NUMBERS else min(_CELL, _MOST_PANEL / n_hooks)
    width = max(_LEAST_PANEL, cell * n_hooks)
    facts = {kind: list(dict.fromkeys(table.loc[table["kind"] == kind, "fact"])) for kind in KINDS}
    facts = {kind: names for kind, names in facts.items() if names}
    with use_style():
        beside = max(inches(name, 6) for names in facts.values() for name in names) + 0.35
        room = int((MAX_WIDTH - beside - _BAR) / (width + _BETWEEN))
        shown, fewer = _shown(table, room - 1)
        places = [
            (model, site) for model in table["model"].unique() for site in sites_of(table)
            if ((table["model"] == model) & (table["site"] == site)).any()
        ]  # fmt: skip
        across = len(shown) + 1
        heights = [len(names) * _ROW for names in facts.values()] * len(places)
        figure = Figure(
            figsize=(
                max(across * (width + _BETWEEN) + beside + _BAR, 3.4),
                sum(heights) + (_ABOVE + 0.25) * len(places),
            ),
            layout="constrained",
        )
        axes = figure.subplots(len(heights), across, squeeze=False, height_ratios=heights)
        for i, (model, site) in enumerate(places):
            rows = table[(table["model"] == model) & (table["site"] == site)]
            name = ", ".join(n for n, many in _several(table, model, site) if many)
            own = axes[i * len(facts) : (i + 1) * len(facts)]
            image = _maps(own, rows, facts, shown, name, width)
        figure.supxlabel(f"Block ({sites_of(table)[0]})" if len(places) == 1 else "Block", size=8)
        bar = figure.colorbar(image, ax=axes, aspect=40, pad=0.01, label="F1")
        bar.ax.axhline(CAPTURED, color="white", linewidth=1.2)
    rows = table[table["series"].isin(shown)]
    n_seeds = rows["seed"].nunique()
    seeds = (f"Cells are means over {n_seeds} seeds.",) if n_seeds > 1 else ()
    return Drawing(figure, rows.drop(columns="series"), (*seeds, *fewer, *odd))


def _several(table: pd.DataFrame, model: str, site: str) -> tuple[tuple[str, bool], ...]:
    return (model, table["model"].nunique() > 1), (site, table["site"].nunique() > 1)


def _shown(table: pd.DataFrame, room: int) -> tuple[list[str], tuple[str, ...]]:
    """Return the series that have a map: all baselines, and SAEs spread over L0 where many are."""
    series = list(looks_of(table))
    saes = set(learned(table)["series"])
    others = [name for name in series if name not in saes][: max(0, room - 1)]
    l0 = learned(table).groupby("series", sort=False)["l0"].mean().sort_values(kind="stable")
    chosen = spread(list(l0.index), max(1, room - len(others))) if len(l0) else []
    shown = [name for name in series if name in chosen] + others
    if len(chosen) == len(l0):
        return shown, ()
    return shown, (
        f"Shown are {len(chosen)} of {len(l0)} SAEs, spread over L0; the table has all.",
    )


def _maps(
    axes: np.ndarray,
    rows: pd.DataFrame,
    facts: dict[str, list[str]],
    shown: Sequence[str],
    place: str,
    width: float,
) -> Any:
    """Draw the maps of one model and site, a column of axes (n_kinds,) each; return an image."""
    blocks = sorted(rows["block"].unique())
    parts = [(name, rows[rows["series"] == name], "fact_f1") for name in shown]
    parts.append((PROBE, rows, "fact_f1_probe"))
    for column, (name, own, value) in zip(axes.T, parts, strict=True):
        for ax, (kind, names) in zip(column, facts.items(), strict=True):
            means = own.groupby(["fact", "block"])[value].mean().unstack()
            image = _map(ax, means.reindex(index=names, columns=blocks).to_numpy(float), blocks)
            first = ax.get_subplotspec().colspan.start == 0
            ax.set_yticks(range(len(names)), names, fontsize=6)
            ax.tick_params(labelbottom=ax is column[-1], labelleft=first, length=0)
            ax.set_ylabel(kind if first else "")
        title = column[0].set_title(", ".join(filter(None, (place, name))))
        fit(title, width)
    return image


def _map(ax: Axes, values: np.ndarray, blocks: Sequence[int]) -> Any:
    ax.set_facecolor(_NOTHING)
    ax.grid(visible=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    image = ax.imshow(values, cmap=_MAP, norm=Normalize(0, 1), aspect="auto")
    step = -(-len(blocks) // _MOST_TICKS)
    ax.set_xticks(range(0, len(blocks), step), [str(block) for block in blocks[::step]])
    if len(blocks) <= _MOST_NUMBERS:
        for place in np.argwhere(np.isfinite(values)):
            value = values[tuple(place)]
            colour = "white" if value < _DARK else INK
            text = f"{value:.2f}".lstrip("0") if value < 0.995 else "1"
            ax.text(*place[::-1], text, ha="center", va="center", fontsize=5, color=colour)
    return image
