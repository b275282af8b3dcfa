"""One figure from a table: `make_figure` is the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.figures.facts import facts
from saeflow.figures.save import save_figure
from saeflow.tables.files import read_csv


def make_figure(study: str, figure: str, table: Path, stem: Path) -> dict[str, Any]:
    """Draw a figure from the CSV of its table and save it.

    Parameters
    ----------
    study, figure
        The figure's module is ``saeflow.figures.<study>.<figure>``.
    table
        The CSV file of the table that the module names in ``TABLE``.
    stem
        The path of the files, without extension.

    Returns
    -------
    dict
        What the figure's record says: ``title``, ``table`` and ``facts``, from which the report
        writes under the caption what was measured on how much.
    """
    module = registry.load(f"figures.{study}", figure)
    frame = read_csv(table)
    save_figure(module.draw(frame), stem)
    return {"title": module.TITLE, "table": module.TABLE, "facts": facts(frame)}
