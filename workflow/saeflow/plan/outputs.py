"""What people look at: the tables, figures and report that the studies' specifications ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from saeflow import paths, registry
from saeflow.errors import ConfigError
from saeflow.files import canonical_json, sha256_file, sha256_text
from saeflow.metrics.registry import MEASURES, METRICS, measure_of
from saeflow.plan.current import HARVEST, RELEASE, Current
from saeflow.plan.find import find_defined
from saeflow.plan.plan import Plan
from saeflow.plan.result import SOURCE_ROOT, Result, with_upstream
from saeflow.plan.summary import summary
from saeflow.studies.study import LABELLED, ON, OTHERS, PROMPTS, WITH, Row, Study, Table

STYLE = SOURCE_ROOT / "saeflow" / "figures" / "saeflow.mplstyle"
PAGE = SOURCE_ROOT / "saeflow" / "report"
SAE, SIMULATION = "sae", "simulation"
"""Kinds of results that tables read, besides measures."""
_UNPACKED = {PROMPTS: paths.ON_PROMPTS, LABELLED: paths.ON_LABELLED}
_ASIDE = (ON, OTHERS, WITH, *_UNPACKED)


class Outputs:
    """The tables, figures and report of a configuration.

    Parameters
    ----------
    plan
        Everything that they are made from.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.studies: dict[str, Study] = {name: study for name, study in self._find()}
        self.table, self.figure, self._simulation = map(
            cache, (self._table, self._figure, self._simulated)
        )
        self._by_path: dict[Path, Result] = {}

    def _find(self) -> Iterator[tuple[str, Study]]:
        """Yield the studies that are made without being asked for, then those asked for."""
        asked = self.plan.config["studies"]
        found = {name: registry.load("studies", name) for name in registry.names("studies")}
        for name, module in found.items():
            automatic = getattr(module, "STUDY", None) and module.STUDY.automatic
            if name not in asked and automatic and automatic(self.plan.config):
                yield name, module.STUDY
        for name in sorted(asked):
            yield name, found[name].STUDY

    @property
    def _name(self) -> dict[str, str]:
        """What tells this configuration's outputs from those of another one."""
        return {"configuration": self.plan.config["name"]}

    def _section(self, study: str) -> Mapping[str, Any]:
        return self.plan.config["studies"].get(study, {})

    def _rows(self, study: str, table: Table, kind: str = "") -> list[Row]:
        spec = self.studies[study]
        rows = table.rows_of.get(kind) or table.rows or spec.rows_of.get(kind, spec.rows)
        return list(rows(self.plan.config, self._section(study)))

    # -- tables -------------------------------------------------------------------------------

    def tables(self, study: str) -> dict[str, Result]:
        """Return the tables of a study that have something to show, by name."""
        config, section = self.plan.config, self._section(study)
        left_out = self._left_out
        return {
            name: self.table(study, name)
            for name, table in self.studies[study].tables.items()
            if not left_out & {*table.reads} and table.when(config, section)
        }

    @property
    def _left_out(self) -> set[str]:
        """The measures that the configuration leaves out."""
        measures = self.plan.config["measures"]
        return {name for name, one in MEASURES.items() if measures.get(one.settings, one) is None}

    def _table(self, study: str, name: str) -> Result:
        """Return one table."""
        table = self.studies[study].tables[name]
        output = paths.fill(paths.TABLE, **self._name, study=study, table=name)
        reads = (*table.reads, *(kind for kind in table.also if kind not in self._left_out))
        metrics = [METRICS[name] for name in table.metrics]
        doubts = [one.doubt for one in metrics if one.doubt]
        settings: dict[str, Any] = {
            "study": study,
            "build": table.build,
            "metrics": list(table.metrics),
            "options": {**table.options, **table.given(self.plan.config, self._section(study))},
        }
        if reads != (SIMULATION,):  # the names of what it is about are columns
            settings["rows"] = self._rows(study, table)
            of_kinds = {**({} if table.rows else self.studies[study].rows_of), **table.rows_of}
            own = [kind for kind in reads if kind in of_kinds]
            settings |= {f"rows of {kind}": self._rows(study, table, kind) for kind in own}
        if table.resampled:
            settings |= self.plan.resampling
        return Result(
            rule="tabulate",
            place={**self._name, "study": study},
            output=output,
            settings=settings,
            inputs={kind: tuple(self._read(study, table, kind)) for kind in reads},
            code_roots=(
                table.build,
                *(f"saeflow.metrics.{measure_of(one.name).name}:{one.name}" for one in metrics),
                *(f"{one.__module__}:{one.__qualname__}" for one in doubts),
            ),
            files=(output.with_suffix(".csv"),),
        )

    def _read(self, study: str, table: Table, kind: str) -> Iterator[Result]:
        """Yield the results of one kind that a study's table reads, in the order of its rows."""
        if kind == SIMULATION:
            yield self._simulation(study)
            return
        rows = self._rows(study, table, kind)
        if kind == SAE:  # of an SAE that is measured on several texts there is one
            own = ({n: v for n, v in row.items() if n not in _ASIDE} for row in rows)
            yield from dict.fromkeys(self.plan.sae(**one) for one in own)
            return
        for row in rows:
            yield self._measured(study, kind, row)

    def _measured(self, study: str, kind: str, row: Row) -> Result:
        """Return what a measure adds up for a row of a study."""
        sae = {name: value for name, value in row.items() if name not in _ASIDE}
        if MEASURES[kind].of == "model":
            on = {"dataset": row["dataset"], "packing": row["packing"]}
        else:
            on = row.get(ON) or self._section(study)["evaluate_on"]
        place = {"eval_dataset": on["dataset"], "eval_packing": on["packing"]}
        for key in _UNPACKED.keys() & row.keys():
            place = {"eval_dataset": row[key], "eval_packing": _UNPACKED[key]}
        sae |= {paths.WITH[name]: value for name, value in row.get(WITH, {}).items()}
        return self.plan.measurement(kind, others=row.get(OTHERS, ()), **place, **sae)

    def _simulated(self, study: str) -> Result:
        simulate = self.studies[study].simulation
        output = paths.fill(paths.SIMULATION, **self._name, study=study)
        return Result(
            rule="simulate",
            place={**self._name, "study": study},
            output=output,
            settings={"simulate": simulate, **self._section(study)["theory"]},
            code_roots=(simulate,),
            files=(output.with_suffix(".csv"),),
        )

    # -- figures and the report ---------------------------------------------------------------

    def figures(self, study: str) -> dict[str, Result]:
        """Return the figures of a study that have something to show, by name."""
        config, section, tables = self.plan.config, self._section(study), self.tables(study)
        return {
            name: self.figure(study, name)
            for name, figure in self.studies[study].figures.items()
            if figure.table in tables and figure.when(config, section)
        }

    def _figure(self, study: str, name: str) -> Result:
        """Return one figure."""
        figure = self.studies[study].figures[name]
        output = paths.fill(paths.FIGURE, **self._name, study=study, figure=name)
        return Result(
            rule="plot",
            place={**self._name, "study": study},
            output=output,
            settings={
                "study": study,
                "draw": figure.draw,
                "select": figure.select,
                "options": dict(figure.options),
                "labels": {name: METRICS[name].axis for name in figure.labels},
                "style_sha256": sha256_file(STYLE),
            },
            inputs={"table": self.table(study, figure.table)},
            code_roots=tuple(filter(None, (figure.draw, figure.select))),
            files=(output.with_suffix(".pdf"), output.with_suffix(".png")),
        )

    def report(self) -> Result:
        """Return the report."""
        page = sorted(f for f in PAGE.iterdir() if f.suffix in (".html", ".css", ".js"))
        summaries = [study.summary for study in self.studies.values() if study.summary]
        figures = [f for study in self.studies for f in self.figures(study).values()]
        tables = [t for study in self.studies for t in self.tables(study).values()]
        run, records = summary(self.plan.config, with_upstream(tables))
        return Result(
            rule="build_report",
            place=self._name,
            output=paths.fill(paths.REPORT_RECORD, **self._name),
            settings={
                "studies": list(self.studies),
                "run": run,
                "texts_sha256": sha256_text(canonical_json(self._texts())),
                "page": {file.name: sha256_file(file) for file in page},
            },
            inputs={"figures": tuple(figures), "tables": tuple(tables)},
            arguments={
                "records": records,
                "planned": [[str(one.output), one.identity] for one in (*figures, *tables)],
            },
            code_roots=("saeflow.metrics.metric:Metric", *summaries),
            files=(paths.fill(paths.REPORT, **self._name),),
        )

    def _texts(self) -> dict[str, Any]:
        """Return the words of the report that no table or figure has."""
        return {
            "metrics": [[m.name, m.axis, m.text, m.source, m.direction] for m in METRICS.values()],
            "measures": [[m.name, m.text] for m in MEASURES.values()],
            **{
                name: [
                    *(study.title, study.introduction, study.key_figure, study.summary),
                    {figure: [f.title, f.caption] for figure, f in study.figures.items()},
                ]
                for name, study in self.studies.items()
            },
        }

    # -- what a run wants ---------------------------------------------------------------------

    @cached_property
    def _needed(self) -> set[Result]:
        return with_upstream([self.report()])

    @cached_property
    def wanted(self) -> set[Result]:
        """Every result of a whole run: what the report needs, and what is tidied up."""
        return {*self._needed, *self._releases}

    def of_study(self, study: str) -> set[Result]:
        """Return what one study's tables and figures need, and what is tidied up after them."""
        if study not in self.studies:
            return set()
        needed = with_upstream([*self.tables(study).values(), *self.figures(study).values()])
        return needed | {one for one in self._releases if needed.issuperset(one.after)}

    def find(self, path: Path) -> Result | None:
        """Return the result of a record or file: one that is wanted, or that is defined."""
        if not self._by_path:
            for one in self.wanted:
                self._by_path |= dict.fromkeys((one.output, *one.files), one)
        return self._by_path.get(path) or find_defined(self.plan, path)

    def leading_to(self, records: list[Path]) -> set[Result]:
        """Return the results of some records with everything that they are made from."""
        found = {record: self.find(record) for record in records}
        if unknown := [str(record) for record, result in found.items() if result is None]:
            raise ConfigError(
                "nothing in this configuration makes this",
                where=self.plan.file,
                got=", ".join(unknown),
                remedy="Name the configuration that makes it with --configfile.",
            )
        return with_upstream([result for result in found.values() if result is not None])

    @cached_property
    def current(self) -> Current:
        """Says which results are there."""
        return Current(self.wanted)

    @cached_property
    def _releases(self) -> list[Result]:
        """The removals of temporary stores, each after the last of their readers."""
        activations = self.plan.config["activations"]
        if activations["live"] or not activations["temporary"]:
            return []
        readers: dict[Result, list[Result]] = {}
        for result in sorted(self._needed, key=lambda result: result.output):
            for store in result.reads():
                if store.rule == HARVEST:
                    readers.setdefault(store, []).append(result)
        return [_release(store, tuple(after)) for store, after in readers.items()]


def _release(store: Result, readers: tuple[Result, ...]) -> Result:
    hook = store.settings["hook"]
    return Result(
        rule=RELEASE,
        place={**store.place, "hook": hook},
        output=paths.fill(paths.RELEASED_ACTIVATIONS, **store.place, hook=hook),
        settings={},
        inputs={"activations": store},
        after=readers,
    )
