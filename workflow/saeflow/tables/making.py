"""One table from records to CSV: `make_table` is the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.tables.files import write_csv
from saeflow.tables.runs import read_runs
from saeflow.tables.scores import read_scores
from saeflow.tables.simulations import read_simulation

_OF_THE_PLAN = ("table", "rows")
# What is not about an SAE has a reader of its own.
_READERS = {"benchmarks": read_scores, "simulation": read_simulation}


def make_table(
    study: str,
    table: str,
    records: Mapping[str, Sequence[Path]],
    output: Path,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Build a table from records and write it.

    Parameters
    ----------
    study, table
        The builder is ``saeflow.tables.<study>.<table>``.
    records
        Kind ("reconstruction", "language", "probes", "sae", "benchmarks", "simulation") -> paths
        of records.
    output
        The CSV file.
    settings
        ``table`` and ``rows`` are the plan's; the rest goes to the builder by keyword
        (``bootstrap`` and ``seed`` of `mse_reduction`).

    Returns
    -------
    dict
        What the table's record says: ``n_rows`` and ``columns``.
    """
    module = registry.load(f"tables.{study}", table)
    options = {key: value for key, value in settings.items() if key not in _OF_THE_PLAN}
    frame = module.build(_read(module.READS, records), **options)
    write_csv(frame, output)
    return {"n_rows": len(frame), "columns": list(frame.columns)}


def _read(kinds: Sequence[str], records: Mapping[str, Sequence[Path]]) -> Any:
    """Read the records: the runs of SAEs, or what another reader gives."""
    if kinds[0] in _READERS:
        return _READERS[kinds[0]](records[kinds[0]])
    return read_runs(**{kind: records[kind] for kind in kinds})
