"""Figures of a study from the CSV files of their tables: `make_figures` is the job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from saeflow.errors import DataError
from saeflow.figures.save import save_figure
from saeflow.studies.calling import call
from saeflow.tables.facts import extent
from saeflow.tables.files import read_csv
from saeflow.task import Task


def make_figures(tasks: Sequence[Task]) -> None:
    """Draw figures and save them; one that cannot be drawn fails alone.

    Parameters
    ----------
    tasks
        Settings ``draw`` ("module:function"), ``options`` and ``labels`` (its arguments), and
        ``select`` (another that gives the rows to be drawn; "" for all); input ``table``; files
        with the extensions pdf and png. The record says how many rows are drawn, and in ``facts``
        what their seeds, cuts and counts are, in words.
    """
    for task in tasks:
        with task.attempt():
            settings, csv = task.settings, Path(task.inputs["table"]).with_suffix(".csv")
            table = read_csv(csv)
            if settings["select"]:
                table = call(settings["select"], table)
            if table.empty:
                raise DataError(
                    "there is nothing to draw: the table has no such rows",
                    where=csv,
                    expected="at least one row that the figure is about",
                )
            labels = {"labels": settings["labels"]} if settings["labels"] else {}
            drawing = call(settings["draw"], table, **settings["options"], **labels)
            save_figure(drawing.figure, task.output.with_suffix(""))
            facts = [*drawing.notes, extent(drawing.rows)]
            task.finish({"n_rows": len(drawing.rows), "facts": " ".join(filter(None, facts))})
