"""What a report is made of, as plain data, and how a table's cells become text."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from saeflow.metrics.registry import METRICS

_PNG_DPI = 200
_CSS_DPI = 96
# Figures are made for print, where 8 points are enough; a screen wants a little more.
_SCREEN_SCALE = 1.2


class Cell(NamedTuple):
    """A cell of a table.

    Attributes
    ----------
    text : str
        What is shown.
    sort : str
        What is sorted by: a number as text, or the text itself.
    numeric : bool
        Whether ``sort`` is a number.
    """

    text: str
    sort: str
    numeric: bool


class Column(NamedTuple):
    """The head of a column: its name, and what it means."""

    name: str
    title: str


@dataclass(frozen=True)
class Table:
    """A table to be read and sorted."""

    name: str
    columns: list[Column]
    rows: list[list[Cell]]
    csv: str


@dataclass(frozen=True)
class FigurePart:
    """A figure with its words.

    Attributes
    ----------
    name, title : str
        Its name in paths, and its heading.
    image : str
        The PNG as a data URI.
    width : int
        Its width on a screen, in CSS pixels.
    caption : str
        HTML from `saeflow.report.captions`.
    facts : str
        On how much it rests, one sentence.
    pdf, csv : str
        Relative links to the PDF and to the numbers.
    """

    name: str
    title: str
    image: str
    width: int
    caption: str
    facts: str
    pdf: str
    csv: str


@dataclass(frozen=True)
class Score:
    """One task of a language model, in words."""

    model: str
    task: str
    value: str
    interval: str
    chance: str
    baselines: str
    n: str
    requires: str
    at_chance: bool


@dataclass(frozen=True)
class Section:
    """One study."""

    name: str
    title: str
    introduction: str
    figures: list[FigurePart]
    tables: list[Table] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    verdict: str = ""


def png_part(content: bytes) -> tuple[str, int]:
    """Return a PNG as a data URI, and its width on a screen in CSS pixels."""
    (width,) = struct.unpack(">I", content[16:20])
    uri = "data:image/png;base64," + base64.b64encode(content).decode("ascii")
    return uri, round(width / _PNG_DPI * _CSS_DPI * _SCREEN_SCALE)


def number(value: float) -> str:
    """Return a number with four significant digits, without exponent where that is short."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e4 else f"{value:.3e}"


def table_part(name: str, frame: pd.DataFrame, *, csv: str) -> Table:
    """Return a frame as a table in which an interval stands in the cell of its value."""
    hidden = {f"{column}_{end}" for column in frame.columns for end in ("low", "high")}
    if "hook" in frame:
        hidden |= {"site", "block"}  # they say the same
    shown = [column for column in frame.columns if column not in hidden]
    columns = [Column(column.replace("_", " "), _meaning(column)) for column in shown]
    rows = [[_cell(row, column) for column in shown] for row in frame.to_dict(orient="records")]
    return Table(name, columns, rows, csv)


def _meaning(column: str) -> str:
    metric = METRICS.get(column)
    return f"{metric.axis}: {metric.formula}" if metric else ""


def _cell(row: dict[str, object], column: str) -> Cell:
    value = row[column]
    if isinstance(value, (bool, str)):
        return Cell(str(value), str(value), False)
    text = number(value)
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    if low is not None and high is not None and not (math.isnan(low) or math.isnan(high)):
        text += f" [{number(low)}, {number(high)}]"
    return Cell(text, "" if text == "–" else repr(float(value)), True)


def scores_part(table: pd.DataFrame) -> tuple[list[Score], str]:
    """Return the scores of language models, and a sentence that names those at chance.

    Parameters
    ----------
    table
        The table of `saeflow.tables.models.language_model`.
    """
    scores = []
    for (model, task), rows in table.groupby(["model", "task"], sort=False):
        own = rows[rows["series"] == "model"].iloc[0]
        others = rows[~rows["series"].isin(["model", "chance"])]
        unit = f" {own['unit']}" if isinstance(own["unit"], str) and own["unit"] else ""
        scores.append(
            Score(
                model=model,
                task=task.replace("_", " "),
                value=number(own["value"]) + unit,
                interval=f"{number(own['low'])} to {number(own['high'])}",
                chance=number(rows[rows["series"] == "chance"]["value"].iloc[0]),
                baselines=", ".join(
                    f"{name.replace('_', ' ')} {number(value)}"
                    for name, value in zip(others["series"], others["value"], strict=True)
                ),
                n=number(own["n"]),
                requires=own["requires"] if isinstance(own["requires"], str) else "",
                at_chance=bool(own["at_chance"]),
            )
        )
    return scores, _verdict(scores)


def _verdict(scores: Iterable[Score]) -> str:
    scores = list(scores)
    several = len({score.model for score in scores}) > 1
    at_chance = [
        f"{score.task} ({score.model})" if several else score.task
        for score in scores
        if score.at_chance
    ]
    if not at_chance:
        return "Every score is above chance."
    return "At chance, so not learned: " + ", ".join(at_chance) + "."
