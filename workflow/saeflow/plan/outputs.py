"""The last part of a plan: tables, figures and the report of each study.

`saeflow.plan.studies` says what a study is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from saeflow import paths
from saeflow.files import sha256_file
from saeflow.plan.job import SOURCE_ROOT, Job
from saeflow.plan.plan import Plan
from saeflow.registry import load

STYLE = SOURCE_ROOT / "saeflow" / "figures" / "saeflow.mplstyle"
CAPTIONS = SOURCE_ROOT / "report"
PAGE = SOURCE_ROOT / "saeflow" / "report"
MODELS = "models"
"""The study that is made without being asked for, where a model was trained on the world."""


class Outputs:
    """The jobs that make what people look at.

    Parameters
    ----------
    plan
        The plan of everything before them.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.studies = {name: load("plan.studies", name) for name in self._names()}
        self._jobs: dict[tuple[str, str], Job] = {}

    def _names(self) -> list[str]:
        """Return the studies of the configuration, after that of the models if there is one."""
        about_models = any(True for _ in load("plan.studies", MODELS).rows(self.plan.config))
        return [*([MODELS] if about_models else []), *sorted(self.plan.config["studies"])]

    def tables(self, study: str) -> list[Job]:
        """Return the tables of a study."""
        return [self.table(study, name) for name in self.studies[study].TABLES]

    def figures(self, study: str) -> list[Job]:
        """Return the figures of a study."""
        return [self.figure(study, name) for name in self.studies[study].FIGURES]

    def table(self, study: str, table: str) -> Job:
        """Return the job that makes one table."""
        key = (study, table)
        if key not in self._jobs:
            self._jobs[key] = self._table(study, table)
        return self._jobs[key]

    def _table(self, study: str, table: str) -> Job:
        module = self.studies[study]
        stem = paths.fill(paths.TABLE, study=study, table=table)
        return Job(
            rule=f"tabulate_{study}",
            output=stem.with_name(f"{stem.name}.json"),
            # The names of models and recipes are columns, and no part of what they name.
            settings={
                "table": table,
                "rows": list(module.rows(self.plan.config)),
                **(self.plan.config["measures"] if table in module.RESAMPLED else {}),
            },
            inputs={kind: module.records(self.plan, kind) for kind in module.TABLES[table]},
            modules=(f"saeflow.tables.{study}.{table}",),
            files=(stem.with_name(f"{stem.name}.csv"),),
        )

    def figure(self, study: str, figure: str) -> Job:
        """Return the job that draws one figure from its table."""
        stem = paths.fill(paths.FIGURE, study=study, figure=figure)
        table = self.studies[study].FIGURES[figure]
        key = (study, f"{figure}.figure")
        if key not in self._jobs:
            self._jobs[key] = Job(
                rule=f"plot_{study}",
                output=stem.with_name(f"{stem.name}.json"),
                settings={"figure": figure, "style_sha256": sha256_file(STYLE)},
                inputs={"table": self.table(study, table)},
                modules=(f"saeflow.figures.{study}.{figure}",),
                files=tuple(stem.with_name(stem.name + suffix) for suffix in (".pdf", ".png")),
            )
        return self._jobs[key]

    def report(self) -> Job:
        """Return the job that builds the report."""
        page = [f for f in PAGE.iterdir() if f.suffix in (".html", ".css", ".js")]
        return Job(
            rule="build_report",
            output=Path(paths.REPORT_RECORD),
            settings={
                "studies": list(self.studies),
                "captions": _hashes(CAPTIONS, CAPTIONS.rglob("*.rst")),
                "page": _hashes(PAGE, page),
            },
            inputs={
                "figures": tuple(job for study in self.studies for job in self.figures(study)),
                "tables": tuple(job for study in self.studies for job in self.tables(study)),
            },
            files=(Path(paths.REPORT),),
        )

    def wanted(self) -> set[Job]:
        """Return every job that the report needs, itself included."""
        found: set[Job] = set()
        queue = [self.report()]
        while queue:
            job = queue.pop()
            if job not in found:
                found.add(job)
                queue.extend(job.upstream())
        return found

    def targets(self, study: str) -> Iterator[str]:
        """Yield the files of a study's tables and figures."""
        for job in (*self.tables(study), *self.figures(study)):
            yield from (str(file) for file in job.files)


def _hashes(root: Path, files: Iterable[Path]) -> dict[str, str]:
    return {file.relative_to(root).as_posix(): sha256_file(file) for file in sorted(files)}
