"""Tables of a study from records to CSV: `make_tables` is the job; `make_simulation` another.

Everything is read once for all tables: runs are shared by those that read the same records, and
the files of a record by all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from saeflow.errors import DataError
from saeflow.metrics.intervals import FEW_DOCUMENTS
from saeflow.metrics.registry import MEASURES
from saeflow.studies.calling import call
from saeflow.tables.builders import fewest_documents
from saeflow.tables.files import read_csv, write_csv
from saeflow.tables.runs import SAE, Record, Run, read_runs
from saeflow.task import Task

logger = logging.getLogger(__name__)

SIMULATION = "simulation"


def make_tables(tasks: Sequence[Task]) -> None:
    """Build tables and write them as CSV; one that cannot be built fails alone.

    Parameters
    ----------
    tasks
        Settings ``build`` ("module:function"), ``options`` (its arguments), and of ``metrics``,
        ``bootstrap`` and ``seed`` what it takes; inputs kind -> records, of measures, "sae" or
        "simulation"; one file.
    """
    shared: dict[Path, Record] = {}
    known: dict[tuple, Any] = {}
    few = np.inf
    for task in tasks:
        with task.attempt():
            settings = task.settings
            records = tuple((kind, tuple(map(Path, given))) for kind, given in task.inputs.items())
            if records not in known:
                known[records] = _read(dict(records), shared)
                if task.missing:
                    known[records] = _complete(known[records], dict(records), task.output)
            options = {name: settings[name] for name in ("bootstrap", "seed") if name in settings}
            if settings["metrics"]:
                options["metrics"] = settings["metrics"]
            made = call(settings["build"], known[records], **options, **settings["options"])
            _write(task, made)
            if settings.get("bootstrap"):
                few = min(few, fewest_documents(made))
    if few < FEW_DOCUMENTS:
        logger.warning(
            "intervals are drawn over %d documents: too few to tell how much others would differ;"
            " raise tokens.test of the packing that is evaluated on, or take a larger dataset",
            few,
        )


def _read(
    records: Mapping[str, tuple[Path, ...]], shared: dict[Path, Record]
) -> tuple[Run, ...] | pd.DataFrame:
    """Return the runs of which there are records, or the simulation."""
    if SIMULATION not in records:
        return read_runs(shared=shared, **records)
    (record,) = records[SIMULATION]
    return read_csv(record.with_suffix(".csv"))


def _complete(
    given: tuple[Run, ...] | pd.DataFrame, kinds: Mapping[str, Any], where: Path
) -> tuple[Run, ...] | pd.DataFrame:
    """Return the runs of which everything is there, and their parents' too; others had failures."""
    if isinstance(given, pd.DataFrame):
        return given
    there: dict[tuple[str, str], set[str]] = {}
    for run in given:
        there.setdefault(run.key.on, set()).update(run.records)
    several = len(there) > 1  # kinds that a study has measured on other texts than the rest
    whole = {
        run.key: run
        for run in given
        if _kinds_of(run, kinds) & (there[run.key.on] if several else kinds.keys())
        <= run.records.keys()
    }
    found = tuple(run for run in whole.values() if run.key.other or run.key.parent in whole)
    if not found:
        raise DataError(
            "nothing that this table shows could be made",
            where=where,
            remedy="Mend what failed before it; `saeflow why` names it.",
        )
    return found


def _kinds_of(run: Run, kinds: Iterable[str]) -> set[str]:
    """Return the kinds of results that there are of what a run is about."""
    own = "pair" if run.key.other else SAE if run.key.sae else None
    of = {kind: SAE if kind == SAE else MEASURES[kind].of for kind in kinds}
    return {
        kind
        for kind, what in of.items()
        if what == own or (own == "pair" and kind == SAE) or (not own and what in ("model", "hook"))
    }


def make_simulation(tasks: Sequence[Task]) -> None:
    """Run the simulations of studies and write them as CSV.

    Parameters
    ----------
    tasks
        Settings ``simulate`` ("module:function"), with the rest as its argument; one file.
    """
    for task in tasks:
        with task.attempt():
            settings = dict(task.settings)
            name = settings.pop("simulate")
            _write(task, call(name, settings))


def _write(task: Task, frame: pd.DataFrame) -> None:
    (file,) = task.files
    write_csv(frame, file)
    task.finish({"n_rows": len(frame), "columns": list(frame.columns)})
