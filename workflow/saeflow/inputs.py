"""What the results of a pass are made from: whether it is there, as it was planned with.

Read `inputs_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from saeflow import failures
from saeflow.errors import StaleError
from saeflow.failures import MISSING, Cause
from saeflow.inventory import MANIFEST, is_whole, read_record
from saeflow.work import bulk_path


def stores_of(results: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Return the records of the stores that results read, each once; not of those to remove."""
    found = set()
    for result in results:
        if result["after"]:
            continue
        for value in result["inputs"].values():
            for item in value if isinstance(value, list) else [value]:
                if item["suffix"] == ".zarr":
                    found.add(Path(item["record"]))
    return sorted(found)


def inputs_of(result: Mapping[str, Any]) -> tuple[dict[str, Any] | None, tuple[Cause, ...]]:
    """Return the records of the inputs that are there, and why others are not.

    Lists are of those that are there; where an input that is none is missing, or all that lists
    name, there are no inputs (None).
    """
    causes: list[Cause] = []
    found: dict[str, Any] = {}
    pinned = result["suffix"] is None
    enough = all([_made(item, causes) for item in result["after"]])
    n_named = n_there = 0
    for name, value in result["inputs"].items():
        if isinstance(value, list):
            given = [_made(item, causes, pinned=pinned) for item in value]
            found[name] = [record for record in given if record]
            n_named, n_there = n_named + len(value), n_there + len(found[name])
        else:
            found[name] = _made(value, causes, pinned=pinned)
            enough = enough and found[name] is not None
    enough = enough and (n_there > 0 or n_named == 0)
    return found if enough else None, tuple(dict.fromkeys(causes))


def _made(item: Mapping[str, Any], causes: list[Cause], *, pinned: bool = False) -> Path | None:
    """Return the record of an input; None where that failed. What it lacks is added to ``causes``.

    Where another configuration made its own result of that name meanwhile, the bulk that was
    planned with is still there, and has a copy of its record; that is given at once (``pinned``)
    to what reads many records one after the other.
    """
    path, identity, suffix = Path(item["record"]), item["identity"], item["suffix"]
    copy = None if suffix is None else bulk_path(path, identity, suffix) / MANIFEST
    record = read_record(path)
    found = record.get("identity")
    if found == identity:
        causes.extend(Cause(*cause) for cause in record.get(MISSING, ()))
        return copy if pinned and copy is not None and copy.is_file() else path
    if copy is not None and is_whole(copy.parent):
        return copy
    if why := failures.noted(path, identity):
        causes.extend(why)
        return None
    if found is None:
        raise StaleError(
            "an input is missing or unreadable",
            where=path,
            remedy="Run snakemake again: it makes it anew.",
        )
    raise StaleError(
        "an input was made under other settings or code than planned",
        where=path,
        expected=identity[:16],
        got=found[:16],
        remedy="Run snakemake again; `saeflow why` tells what differs.",
    )
