"""The last part of a plan: tables, figures and the report of each study.

`saeflow.plan.studies` says what a study is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from saeflow import paths
from saeflow.errors import ConfigError
from saeflow.files import sha256_file
from saeflow.plan.current import HARVEST, RELEASE
from saeflow.plan.job import SOURCE_ROOT, Job
from saeflow.plan.parts import Parts
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
        names = self.studies[study].tables(self.plan.config)
        return [self.table(study, name) for name in names]

    def figures(self, study: str) -> list[Job]:
        """Return the figures of a study."""
        names = self.studies[study].figures(self.plan.config)
        return [self.figure(study, name) for name in names]

    def table(self, study: str, table: str) -> Job:
        """Return the job that makes one table."""
        key = (study, table)
        if key not in self._jobs:
            self._jobs[key] = self._table(study, table)
        return self._jobs[key]

    def _table(self, study: str, table: str) -> Job:
        module = self.studies[study]
        stem = paths.fill(paths.TABLE, study=study, table=table)
        rows = list(module.rows(self.plan.config))
        return Job(
            rule=f"tabulate_{study}",
            output=stem.with_name(f"{stem.name}.json"),
            # The names of models and recipes are columns, and no part of what they name.
            settings={
                "table": table,
                **({} if table in module.OF_NO_ROW else {"rows": rows}),
                **(self.plan.resampling if table in module.RESAMPLED else {}),
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
        """Return every job of a whole run: what the report needs, and what is tidied up."""
        return {*self._needed, *self.releases.values()}

    def targets(self, study: str) -> Iterator[str]:
        """Yield the files of a study's tables and figures, and what is tidied up after them."""
        jobs = (*self.tables(study), *self.figures(study))
        for job in jobs:
            yield from (str(file) for file in job.files)
        made = _with_upstream(jobs)
        yield from (str(job.output) for job in self.releases.values() if made >= {*job.after})

    @cached_property
    def _needed(self) -> set[Job]:
        """Every job that the report needs, itself included."""
        return _with_upstream([self.report()])

    @cached_property
    def parts(self) -> Parts:
        """The jobs that share the passes of the harvest."""
        stores = (job for job in self._needed if job.rule == HARVEST)
        return Parts(stores, self.plan.config["harvest"]["jobs"])

    @cached_property
    def releases(self) -> dict[Path, Job]:
        """The jobs that remove temporary stores after their last reader, by their record."""
        activations = self.plan.config["activations"]
        if activations["live"] or not activations["temporary"]:
            return {}
        readers: dict[Job, list[Job]] = defaultdict(list)
        for job in sorted(self._needed, key=lambda job: job.output):
            for store in job.inputs.values():
                if isinstance(store, Job) and store.rule == HARVEST:
                    readers[store].append(job)
        jobs = [_release(store, tuple(after)) for store, after in readers.items()]
        return {job.output: job for job in jobs}

    def release(self, **wildcards: str) -> Job:
        """Return the job that removes a temporary store; wildcards of the store."""
        record = paths.fill(paths.RELEASED_ACTIVATIONS, **wildcards)
        if record not in self.releases:
            raise ConfigError(
                "this store is not temporary, or nothing wanted reads it",
                where=record,
                expected="one of " + ", ".join(map(str, self.releases)),
            )
        return self.releases[record]


def _release(store: Job, readers: tuple[Job, ...]) -> Job:
    return Job(
        rule=RELEASE,
        output=store.output.with_name(f"{store.output.stem}.released.json"),
        settings={},
        inputs={"activations": store},
        after=readers,
    )


def _with_upstream(jobs: Iterable[Job]) -> set[Job]:
    found: set[Job] = set()
    queue = list(jobs)
    while queue:
        job = queue.pop()
        if job not in found:
            found.add(job)
            queue.extend(job.upstream())
    return found


def _hashes(root: Path, files: Iterable[Path]) -> dict[str, str]:
    return {file.relative_to(root).as_posix(): sha256_file(file) for file in sorted(files)}
