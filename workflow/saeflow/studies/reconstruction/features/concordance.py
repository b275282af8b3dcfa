"""The worst and the best features in words, as a concordance: one line per feature."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saeflow.figures.drawing import Drawing
from saeflow.figures.panels import MAX_WIDTH
from saeflow.figures.places import Place, by_recipe_and_hook, shown_hooks
from saeflow.figures.style import INK, MUTED, use_style
from saeflow.figures.texts import beginning, ending, in_one_line
from saeflow.measures.ablations.feature_scores import KINDS
from saeflow.studies.reconstruction.features.drawing import LOOKS
from saeflow.studies.reconstruction.features.places import by_set

_LINE = 0.145  # inches
_SIZE = 6.5  # points
_LEGEND, _HEAD, _GAP = 0.35, 0.22, 0.06  # inches: above all, above a block's lines, and below
_MOST_LINES = 60
_PER_KIND = 5
# Where columns end (numbers, to the right) or begin (texts), in inches.
_LATENT, _N, _MEAN, _EFFECT, _TOKEN, _RAISED = 0.55, 0.95, 1.5, 2.05, 5.5, 6.55
_HEADS = (
    (_LATENT, "feature", "right"), (_N, "prompts", "right"), (_MEAN, "mean", "right"),
    (_EFFECT, "effect", "right"), (_TOKEN, "strongest context", "right"),
    (_RAISED, "raises", "left"),
)  # fmt: skip


def concordance(table: pd.DataFrame) -> Drawing:
    """Draw a block per hook and recipe: its worst features, then its best, a line for each.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae, seed, prompts, kind, place, latent, n_prompts,
        mean_delta, effect, context, before, token and raised.
    """
    table = table[(table["context"] == 1) & (table["seed"] == table["seed"].min())]
    groups = table.groupby(["model", "sae", "prompts"]).ngroups
    table, fewer = shown_hooks(table, 2 * groups)  # half as many blocks as panels
    places = by_set(table, by_recipe_and_hook)
    per_kind = max(1, min(_PER_KIND, _MOST_LINES // (2 * len(places))))
    shown = table[table["place"] <= per_kind]
    with use_style():
        blocks = [(p, p.rows[p.rows["place"] <= per_kind]) for p in places]
        heights = [_HEAD + _LINE * len(rows) + _GAP for _, rows in blocks]
        height = _LEGEND + sum(heights)
        figure = Figure(figsize=(MAX_WIDTH, height), layout="constrained")
        figure.get_layout_engine().set(w_pad=0, h_pad=0, wspace=0, hspace=0)
        ax = figure.subplots()
        ax.set_axis_off()
        ax.set_xlim(0, MAX_WIDTH)
        ax.set_ylim(height, 0)
        _heads(ax)
        top = _LEGEND
        for (place, rows), height in zip(blocks, heights, strict=True):
            _block(ax, place, rows, top)
            top += height
    n = (
        f"the {per_kind} worst and the {per_kind} best"
        if per_kind > 1
        else "the worst and the best"
    )
    note = f"Shown are {n} features of each SAE; the table has more, with more contexts of each."
    return Drawing(figure, shown, (note, *fewer))


def _heads(ax: Axes) -> None:
    """Say what columns are, and colours."""
    look: dict[str, Any] = {"fontsize": _SIZE, "va": "center"}
    for x, text, side in _HEADS:
        ax.text(x, 0.75 * _LEGEND, text, ha=side, color=MUTED, **look)
    for at, kind in enumerate(KINDS[:2]):
        ax.text(0.1 + 0.5 * at, 0.3 * _LEGEND, kind, color=LOOKS[kind].colour, **look)


def _block(ax: Axes, place: Place, rows: pd.DataFrame, top: float) -> None:
    look: dict[str, Any] = {"fontsize": _SIZE, "va": "center"}
    ax.text(0.1, top + 0.6 * _HEAD, place.title, fontsize=8, va="center", color=INK)
    y = top + _HEAD
    for kind in KINDS[:2]:
        for row in rows[rows["kind"] == kind].sort_values("place").itertuples():
            y += _LINE
            middle = y - _LINE / 2
            colour = LOOKS[kind].colour
            ax.text(_LATENT, middle, f"{row.latent}", ha="right", color=colour, **look)
            for x, text in (
                (_N, f"{row.n_prompts}"),
                (_MEAN, _signed(row.mean_delta)),
                (_EFFECT, _signed(row.effect)),
            ):
                ax.text(x, middle, text, ha="right", color=INK, **look)
            before = ending(in_one_line(row.before), _TOKEN - _EFFECT - 0.3, _SIZE)
            token = beginning(in_one_line(row.token), _RAISED - _TOKEN - 0.15, _SIZE)
            ax.text(_TOKEN, middle, before, ha="right", color=MUTED, **look)
            ax.text(_TOKEN + 0.04, middle, token, weight="bold", color=colour, **look)
            raised = beginning(in_one_line(row.raised), MAX_WIDTH - _RAISED - 0.1, _SIZE)
            ax.text(_RAISED, middle, raised, color=INK, **look)


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")
