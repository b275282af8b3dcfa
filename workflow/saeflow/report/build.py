"""From the tables and figures of studies to ``report.html``: `make_report` is the job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from saeflow import registry
from saeflow.errors import SaeflowError
from saeflow.files import read_json, write_atomic
from saeflow.metrics.registry import MEASURES, METRICS, SYMBOLS
from saeflow.report.facts import extent, notes, what_was_run
from saeflow.report.parts import caption_html, pack, picture
from saeflow.studies.calling import call
from saeflow.studies.study import Study
from saeflow.tables.files import read_csv
from saeflow.task import Task

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent


def make_report(tasks: Sequence[Task]) -> None:
    """Write the page of each task from the tables and figures of its studies."""
    for task in tasks:
        with task.attempt():
            names = task.settings["studies"]
            studies = {name: registry.load("studies", name).STUDY for name in names}
            (page,) = task.files
            html = build_page(studies, task.inputs["figures"], task.inputs["tables"])
            write_atomic(page, html.encode())
            task.finish({})


def build_page(
    studies: Mapping[str, Study], figures: Sequence[Path], tables: Sequence[Path]
) -> str:
    """Return the report as HTML.

    What cannot be shown is said in its place: no table, picture or summary costs the page.

    Parameters
    ----------
    studies
        Name -> specification, in the order of the page.
    figures
        Records of figures, ``figures/{study}/{figure}.json``; PDF and PNG lie beside them.
    tables
        Records of tables, ``tables/{study}/{table}.json``; the CSV lies beside them.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html").render(
        studies=[_study(*study, figures, tables) for study in studies.items()],
        measures=list(MEASURES.values()),
        symbols=SYMBOLS,
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        script=(HERE / "report.js").read_text(encoding="utf-8"),
    )


def _study(
    name: str, study: Study, figures: Sequence[Path], tables: Sequence[Path]
) -> dict[str, Any]:
    """Return all that the page says of a study."""
    drawn, made = (
        {path.stem: path for path in map(Path, paths) if path.parent.name == name}
        for paths in (figures, tables)
    )
    tabulated = [_table(table, made[table]) for table in study.tables if table in made]
    frames = {table["title"]: table["frame"] for table in tabulated if not table["problem"]}
    pictures = [_figure(f, study, drawn[f], frames) for f in study.figures if f in drawn]
    summary, problem = _attempt(call, study.summary, frames) if study.summary else ("", "")
    return {
        "name": name,
        "title": study.title,
        "introduction": caption_html(study.introduction),
        "summary": str(summary or ""),
        "problem": problem,
        "verdicts": _verdicts(frames.get("published")),
        "at_chance": _at_chance(frames.get("language_model")),
        "notes": notes(frames.values()),
        "run": what_was_run(frames.values(), _datasets(made.values())),
        "key": [f for f in pictures if f["id"] == f"{name}-{study.key_figure}" and f["image"]],
        "figures": pictures,
        "tables": tabulated,
    }


def _datasets(tables: Iterable[Path]) -> list[str]:
    """Return what the records of tables say of the datasets of their SAEs and models."""
    records = [record for record, _ in (_attempt(read_json, table) for table in tables) if record]
    return sorted({name for record in records for name in record.get("datasets", ())})


def _figure(
    name: str, study: Study, record: Path, frames: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    figure = study.figures[name]
    image, problem = _attempt(picture, record.with_suffix(".png"))
    rows = frames.get(figure.table)
    if rows is not None and figure.select:
        rows, _ = _attempt(call, figure.select, rows)
    return {
        "id": f"{record.parent.name}-{name}",
        "title": figure.title,
        "caption": caption_html(figure.caption),
        "facts": "" if rows is None else extent(rows),
        "table": figure.table if figure.table in frames else "",
        "pdf": _link(record, ".pdf"),
        "image": image,
        "problem": problem,
    }


def _table(name: str, record: Path) -> dict[str, Any]:
    frame, problem = _attempt(read_csv, record.with_suffix(".csv"))
    table = {
        "id": f"{record.parent.name}-table-{name}", "title": name, "csv": _link(record, ".csv"),
        "frame": frame, "problem": problem,
    }  # fmt: skip
    if problem:
        return table
    data, n_packed = pack(frame)
    metrics = [metric for metric in METRICS if metric in frame]
    return table | {
        "data": data, "n_packed": n_packed, "facts": extent(frame), "metrics": metrics,
    }  # fmt: skip


def _link(record: Path, suffix: str) -> str:
    """Return the path of a file beside a record, as seen from the page two directories above."""
    return "/".join(record.with_suffix(suffix).parts[-3:])


def _attempt(read: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """Return what a function returns, and "", or None and what was wrong."""
    try:
        return read(*arguments), ""
    except SaeflowError as error:  # its whole text names paths of this machine
        logger.warning("%s", error)
        return None, error.what + (f" ({error.got})" if error.got else "")


def _verdicts(published: pd.DataFrame | None) -> dict[str, list[str]]:
    """Return the claims of a publication by the verdict on them."""
    if published is None or not {"verdict", "claim"} <= set(published.columns):
        return {}
    return {str(v): list(map(str, of["claim"])) for v, of in published.groupby("verdict")}


def _at_chance(scores: pd.DataFrame | None) -> list[str]:
    """Return the tasks that language models have not learned."""
    if scores is None or not {"model", "task", "at_chance"} <= set(scores.columns):
        return []
    chosen = scores[scores["at_chance"].astype(str) == "True"]
    several = scores["model"].nunique() > 1
    names = [
        task.replace("_", " ") + (f" ({model})" if several else "")
        for model, task in zip(chosen["model"], chosen["task"].astype(str), strict=True)
    ]
    return list(dict.fromkeys(names))
