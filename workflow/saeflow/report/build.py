"""From the tables and figures of studies to ``report.html``: `make_report` is the job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from saeflow import paths, registry
from saeflow.errors import SaeflowError
from saeflow.failures import MISSING, Cause, noted, told
from saeflow.files import read_object, write_atomic
from saeflow.metrics.registry import MEASURES, METRICS, SYMBOLS
from saeflow.report.parts import caption_html, pack, picture
from saeflow.report.receipts import made_with, read_receipts, times, times_script
from saeflow.report.run import what_was_run
from saeflow.studies.calling import call
from saeflow.studies.study import Study
from saeflow.tables.facts import extent, notes
from saeflow.tables.files import read_csv
from saeflow.task import Task

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
_TIMES = Path(paths.REPORT_TIMES).name


def make_report(tasks: Sequence[Task]) -> None:
    """Write the page of each task from the tables and figures of its studies.

    Parameters
    ----------
    tasks
        Settings ``studies`` (names) and ``run``, arguments ``records`` (both as
        `saeflow.plan.summary.summary` gives them) and ``planned``: path, identity of every table
        and figure; inputs ``figures`` and ``tables``, of those that are there; the page.
    """
    for task in tasks:
        with task.attempt():
            names = task.settings["studies"]
            studies = {name: registry.load("studies", name).STUDY for name in names}
            records, planned = task.arguments["records"], task.arguments["planned"]
            there = {Path(path) for kind in ("figures", "tables") for path in task.inputs[kind]}
            unmade = {
                Path(path): noted(Path(path), identity)
                for path, identity in planned
                if Path(path) not in there
            }
            named = (one for section in records.values() for of in section.values() for one in of)
            receipts = read_receipts([identity for _, identity in (*named, *planned)])
            html = build_page(
                studies,
                task.inputs["figures"],
                task.inputs["tables"],
                unmade=unmade,
                run=(task.settings["run"], records),
                made=made_with(receipts),
            )
            (page,) = task.files
            write_atomic(page.with_name(_TIMES), times_script(times(receipts)).encode())
            write_atomic(page, html.encode())
            task.finish({})


def build_page(
    studies: Mapping[str, Study],
    figures: Sequence[Path],
    tables: Sequence[Path],
    *,
    unmade: Mapping[Path, Sequence[Cause]] = {},
    run: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {}),
    made: Mapping[str, str] = {},
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
    unmade
        Records of tables and figures that could not be made, each with why.
    run
        What `saeflow.report.run.what_was_run` tells of: settings, and records.
    made
        Version by package, and "commit".
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    shown = [_study(*study, figures, tables, unmade) for study in studies.items()]
    frames = [frame for study in shown for frame in study["frames"]]
    sections, problem = _attempt(what_was_run, *run, frames)
    return environment.get_template("report.html").render(
        studies=shown,
        run=sections or [],
        problem=problem,
        made=made,
        times=_TIMES,
        measures=list(MEASURES.values()),
        symbols=SYMBOLS,
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        script=(HERE / "report.js").read_text(encoding="utf-8"),
    )


def _study(
    name: str,
    study: Study,
    figures: Sequence[Path],
    tables: Sequence[Path],
    unmade: Mapping[Path, Sequence[Cause]],
) -> dict[str, Any]:
    """Return all that the page says of a study."""
    drawn, made = (
        {path.stem: path for path in map(Path, records) if path.parent.name == name}
        for records in (figures, tables)
    )
    tabulated = [_table(table, made[table]) for table in study.tables if table in made]
    frames = {table["title"]: table["frame"] for table in tabulated if not table["problem"]}
    pictures = [_figure(f, study, drawn[f], frames) for f in study.figures if f in drawn]
    summary, problem = _attempt(call, study.summary, frames) if study.summary else ("", "")
    return {
        "name": name,
        "title": study.title,
        "introduction": _caption(study.introduction),
        "summary": str(summary or ""),
        "problem": problem,
        "verdicts": _attempt(_verdicts, frames.get("published"))[0] or {},
        "at_chance": _attempt(_at_chance, frames.get("language_model"))[0] or [],
        "notes": _attempt(notes, list(frames.values()))[0] or [],
        "key": [f for f in pictures if f["id"] == f"{name}-{study.key_figure}" and f["image"]],
        "figures": pictures,
        "tables": tabulated,
        "frames": frames.values(),
        "lacking": list(
            dict.fromkeys(t for part in (*pictures, *tabulated) for t in part["lacks"])
        ),
        "unmade": [
            _unmade(study, path, causes)
            for path, causes in unmade.items()
            if path.parent.name == name
        ],
    }


def _unmade(study: Study, record: Path, causes: Sequence[Cause]) -> dict[str, Any]:
    """Return the title of a table or figure that is not there, and why."""
    kind = record.parent.parent.name.removesuffix("s")
    figure = study.figures.get(record.stem) if kind == "figure" else None
    return {
        "title": figure.title if figure else f"{kind} {record.stem}",
        "why": told(causes) or ["nobody noted why"],
    }


def _figure(
    name: str, study: Study, record: Path, frames: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    figure = study.figures[name]
    image, problem = _attempt(picture, record.with_suffix(".png"))
    return {
        "id": f"{record.parent.name}-{name}",
        "title": figure.title,
        "caption": _caption(figure.caption),
        "facts": str(read_object(record).get("facts", "")),
        "table": figure.table if figure.table in frames else "",
        "pdf": _link(record, ".pdf"),
        "image": image,
        "problem": problem,
        "lacks": _lacks(record),
    }


def _table(name: str, record: Path) -> dict[str, Any]:
    shown, problem = _attempt(_rows, record.with_suffix(".csv"))
    return {
        "id": f"{record.parent.name}-table-{name}", "title": name, "csv": _link(record, ".csv"),
        "problem": problem, "lacks": _lacks(record), **(shown or {}),
    }  # fmt: skip


def _rows(csv: Path) -> dict[str, Any]:
    """Return a table for the page, which unpacks it."""
    frame = read_csv(csv)
    data, n_packed = pack(frame)
    facts, _ = _attempt(extent, frame)
    metrics = [metric for metric in METRICS if metric in frame]
    return {
        "frame": frame, "data": data, "n_packed": n_packed, "facts": facts or "",
        "metrics": metrics,
    }  # fmt: skip


def _lacks(record: Path) -> list[str]:
    """Return why a table or a figure was made of less than was asked for."""
    return told(Cause(*cause) for cause in read_object(record).get(MISSING, ()))


def _link(record: Path, suffix: str) -> str:
    """Return the path of a file beside a record, as seen from the page two directories above."""
    return "/".join(record.with_suffix(suffix).parts[-3:])


def _caption(text: str) -> str:
    """Return a text as HTML, or as it is where it cannot be read."""
    html, _ = _attempt(caption_html, text)
    return html or f"<p>{escape(text)}</p>"


def _attempt(read: Callable[..., Any], *arguments: Any) -> tuple[Any, str]:
    """Return what a function returns, and "", or None and what was wrong."""
    try:
        return read(*arguments), ""
    except SaeflowError as error:  # its whole text names paths of this machine
        logger.warning("%s", error)
        return None, error.what + (f" ({error.got})" if error.got else "")
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever it is, it is not worth the page
        logger.warning("%s failed", getattr(read, "__name__", read), exc_info=error)
        return None, f"{type(error).__name__}, see the log"


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
