"""From figure and table records to ``report.html``: `build_report` is the job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd

from saeflow.figures.facts import sentence
from saeflow.files import read_json
from saeflow.metrics.registry import METRICS, SYMBOLS
from saeflow.report.captions import read_caption
from saeflow.report.parts import FigurePart, Section, Table, png_part, scores_part, table_part
from saeflow.tables.files import read_csv

HERE = Path(__file__).parent
CAPTIONS = HERE.parents[1] / "report"

TITLES = {"models": "The language models", "suppression": "Feature suppression"}
FIRST = "models"

# More rows than anybody reads: these stay in their CSV file.
_MAX_ROWS = 600
_SCORES = "language_model"

_DIRECTIONS = {
    "lower": "lower is better",
    "higher": "higher is better",
    "one": "1 is best",
    "none": "",
}


def build_report(
    figures: Sequence[Path], tables: Sequence[Path], *, captions: Path = CAPTIONS
) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    figures
        Records of figures, ``figures/{study}/{figure}.json``; PDF and PNG lie beside them.
    tables
        Records of tables, ``tables/{study}/{table}.json``; the CSV lies beside them.
    captions
        Directory of the captions.
    """
    frames = {(p.parent.name, p.stem): read_csv(p.with_suffix(".csv")) for p in map(Path, tables)}
    by_study: dict[str, list[Path]] = {}
    for path in map(Path, figures):
        by_study.setdefault(path.parent.name, []).append(path)
    for study, _ in frames:
        by_study.setdefault(study, [])
    order = sorted(by_study, key=lambda study: (study != FIRST, study))
    return render([_section(study, by_study[study], frames, captions) for study in order])


def render(sections: Sequence[Section]) -> str:
    """Return the HTML of a report with these sections."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html").render(
        sections=sections,
        metrics=list(METRICS.values()),
        symbols=SYMBOLS,
        directions=_DIRECTIONS,
        style=(HERE / "report.css").read_text(encoding="utf-8"),
        script=(HERE / "report.js").read_text(encoding="utf-8"),
    )


def study_title(study: str) -> str:
    """Return a study's heading."""
    return TITLES.get(study, study.replace("_", " ").capitalize())


def _section(
    study: str,
    figures: Iterable[Path],
    frames: Mapping[tuple[str, str], pd.DataFrame],
    captions: Path,
) -> Section:
    own = {name: frame for (of, name), frame in frames.items() if of == study}
    scores, verdict = scores_part(own[_SCORES]) if _SCORES in own else ([], "")
    return Section(
        name=study,
        title=study_title(study),
        introduction=read_caption(captions, study),
        figures=[_figure(study, path, captions) for path in figures],
        tables=[_table(study, name, frame) for name, frame in own.items() if name != _SCORES],
        scores=scores,
        verdict=verdict,
    )


def _figure(study: str, path: Path, captions: Path) -> FigurePart:
    record = read_json(path)
    image, width = png_part(path.with_suffix(".png").read_bytes())
    return FigurePart(
        name=path.stem,
        title=record["title"],
        image=image,
        width=width,
        caption=read_caption(captions, study, path.stem),
        facts=sentence(record["facts"]),
        pdf=f"figures/{study}/{path.stem}.pdf",
        csv=f"tables/{study}/{record['table']}.csv",
    )


def _table(study: str, name: str, frame: pd.DataFrame) -> Table:
    csv = f"tables/{study}/{name}.csv"
    return table_part(name, frame if len(frame) <= _MAX_ROWS else frame.iloc[:0], csv=csv)
