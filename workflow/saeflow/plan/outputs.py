"""The last part of a plan: tables, figures and the report of each study.

A study is a module of `saeflow.plan.studies` with its rows, its tables and its figures; the
tables and figures themselves are modules of `saeflow.tables` and `saeflow.figures`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.files import sha256_file
from saeflow.plan.job import SOURCE_ROOT, Job
from saeflow.plan.plan import Plan
from saeflow.registry import load

STYLE = SOURCE_ROOT / "saeflow" / "figures" / "saeflow.mplstyle"
CAPTIONS = SOURCE_ROOT / "report"
MODELS = "models"
"""The study, always made, that shows how good the language models trained here are."""


class Outputs:
    """The jobs that make what people look at.

    Parameters
    ----------
    plan
        The plan of everything before them.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.studies = {
            name: load("plan.studies", name) for name in sorted(self.plan.config["studies"])
        }
        self._jobs: dict[tuple[str, str], Job] = {}

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
        rows = list(self.studies[study].rows(self.plan.config))
        on = self.plan.config["studies"][study]["evaluate_on"]
        inputs = {}
        for kind in self.studies[study].TABLES[table]:
            if kind == "sae":
                inputs[kind] = tuple(self.plan.sae(**row) for row in rows)
            else:
                inputs[kind] = tuple(
                    self.plan.measure(
                        kind, eval_dataset=on["dataset"], eval_packing=on["packing"], **row
                    )
                    for row in rows
                )
        stem = paths.fill(paths.TABLE, study=study, table=table)
        return Job(
            rule=f"tabulate_{study}",
            output=stem.with_name(f"{stem.name}.json"),
            settings={"table": table, "rows": [self._described(row) for row in rows]},
            inputs=inputs,
            modules=(f"saeflow.tables.{study}.{table}",),
            files=(stem.with_name(f"{stem.name}.csv"),),
        )

    def _described(self, row: dict[str, Any]) -> dict[str, Any]:
        """Add to a row what a reader wants to see of its recipe."""
        sae, _, method = row["sae"].partition("~")
        recipe = self.plan.config["saes"][sae]
        sparsity = {"relu": "l1", "topk": "k"}[recipe["architecture"]]
        return {
            **row,
            "parent": sae if method else None,
            "method": method or "original",
            "architecture": recipe["architecture"],
            "sparsity": sparsity,
            "sparsity_value": recipe[sparsity],
        }

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
        captions = {
            file.relative_to(CAPTIONS).as_posix(): sha256_file(file)
            for file in sorted(CAPTIONS.rglob("*.rst"))
        }
        return Job(
            rule="build_report",
            output=Path(paths.REPORT_RECORD),
            settings={"studies": sorted(self.studies), "captions": captions},
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
