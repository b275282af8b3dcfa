"""Scores of the language models, beside chance and baselines that need no model."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from saeflow.figures.drawing import Drawing
from saeflow.figures.legends import legend_above
from saeflow.figures.style import INK, SERIES, WARNING, use_style
from saeflow.metrics.benchmarks import MODEL
from saeflow.studies.models.scores import CHANCE

_UNITS = {"": "Share of prompts answered correctly", "nats": "Held-out loss (nats/token)"}
_MARKERS = ("s", "^", "v", "D", "P", "X", "<", ">", "*", "p")


def language_model(table: pd.DataFrame) -> Drawing:
    """Draw one row per model and one panel per unit; a task at chance is named as such."""
    with use_style():
        models = list(dict.fromkeys(table["model"]))
        units = [unit for unit in _UNITS if (_unit(table) == unit).any()]
        baselines = [n for n in dict.fromkeys(table["series"]) if n not in (MODEL, CHANCE)]
        looks = {
            name: (SERIES[1:][index % (len(SERIES) - 1)], _MARKERS[index % len(_MARKERS)])
            for index, name in enumerate(baselines)
        }
        tasks = {u: list(dict.fromkeys(table[_unit(table) == u]["task"])) for u in units}
        heights = [0.34 * len(tasks[u]) + 0.5 for u in units] * len(models)
        figure = Figure(figsize=(6.4, sum(heights) + 0.6), layout="constrained")
        axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        for index, ax in enumerate(axes):
            model, unit = models[index // len(units)], units[index % len(units)]
            chosen = table[(table["model"] == model) & (_unit(table) == unit)]
            _panel(ax, chosen, tasks[unit], looks)
            ax.set_xlabel(_UNITS[unit])
            if len(models) > 1 and unit == units[0]:
                ax.set_title(model)
            ax.set_xlim(*((-0.03, 1.03) if unit == "" else (0, None)))
        legend_above(figure, _handles(looks))
    return Drawing(figure, table)


def _unit(table: pd.DataFrame) -> pd.Series:
    return table["unit"].fillna("")


def _panel(
    ax: Axes, chosen: pd.DataFrame, tasks: list[str], looks: dict[str, tuple[str, str]]
) -> None:
    ax.set_yticks(range(len(tasks)), [_name(task) for task in tasks])
    ax.set_ylim(len(tasks) - 0.45, -0.55)  # the first task on top
    ax.grid(axis="x")
    ax.grid(axis="y", visible=False)
    width = chosen["value"].max()
    for y, (task, label) in enumerate(zip(tasks, ax.get_yticklabels(), strict=True)):
        rows = chosen[chosen["task"] == task]
        _model(ax, rows[rows["series"] == MODEL], y - 0.16, label)
        chance = rows[rows["series"] == CHANCE]["value"]
        ax.vlines(chance, y - 0.36, y + 0.4, color=INK, linewidth=1, zorder=2)
        _baselines(ax, rows[rows["series"].isin(looks)], y + 0.12, 0.06 * width, looks)


def _name(task: str) -> str:
    words = (w.upper() if w in ("abba", "baba") else w for w in task.split("_"))
    return " ".join(words)


def _model(ax: Axes, rows: pd.DataFrame, y: float, label: Text) -> None:
    for _, row in rows.iterrows():
        # Wilson's interval of a share of 0 or 1 ends there but for rounding.
        arms = [[max(0.0, row["value"] - row["low"])], [max(0.0, row["high"] - row["value"])]]
        ax.errorbar(
            row["value"], y, xerr=arms, color=SERIES[0], marker="o", markersize=5,
            elinewidth=1.2, capsize=2, zorder=4,
        )  # fmt: skip
        if row["at_chance"]:
            label.set_color(WARNING)
            ax.annotate(
                "at chance", (max(row["high"], row["value"]), y), xytext=(6, 0),
                textcoords="offset points", va="center", fontsize=6.5, color=WARNING,
            )  # fmt: skip


def _baselines(
    ax: Axes, rows: pd.DataFrame, y: float, near: float, looks: dict[str, tuple[str, str]]
) -> None:
    """Draw the baselines below the model; of two that nearly coincide, the second lower."""
    last, depth = -float("inf"), 0
    for _, row in rows.sort_values("value", kind="stable").iterrows():
        depth = depth + 1 if row["value"] - last < near else 0
        colour, marker = looks[row["series"]]
        ax.plot(
            row["value"], y + 0.22 * (depth % 2), color=colour, marker=marker, linestyle="",
            markersize=4.2, markerfacecolor="white", markeredgewidth=1.0, zorder=3,
        )  # fmt: skip
        last = row["value"]


def _handles(looks: dict[str, tuple[str, str]]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=SERIES[0], marker="o", linestyle="-", label="model, 95 % interval"),
        Line2D([], [], color=INK, marker="|", markersize=8, linestyle="", label="chance"),
    ]
    for name, (colour, marker) in looks.items():
        handles.append(
            Line2D(
                [], [], color=colour, marker=marker, linestyle="", markerfacecolor="white",
                label=name.replace("_", " "),
            )
        )  # fmt: skip
    return handles
