"""Why results are not there: what jobs noted of those that they could not make.

A result that fails costs no other one. Its job notes the cause in a file named by the identity,
and so does, with the same cause, the job of what would have been made from it. What is made of
several results, such as a table, is made of those that are there, and its record names the causes
of what it lacks; it is not current. A note goes when its result comes. Read `Cause`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from saeflow import paths
from saeflow.files import write_json

MISSING = "missing"
"""The key of a record with the causes of what it was made without."""

SUMMARY = "Some results could not be made"
"""How the message begins with which such a run ends."""


class Cause(NamedTuple):
    """The record of the result that failed, and the message."""

    record: str
    error: str


def note(record: Path, identity: str, causes: Iterable[Cause]) -> None:
    """Note why a result is not there."""
    write_json(paths.failure_file(record, identity), [list(cause) for cause in causes])


def forget(record: Path, identity: str) -> None:
    """Remove the note of a result that is there, if there is one."""
    with suppress(OSError):
        paths.failure_file(record, identity).unlink()


def noted(record: Path, identity: str) -> tuple[Cause, ...]:
    """Return why a result could not be made when that was last tried; nothing if it was not."""
    try:
        content = paths.failure_file(record, identity).read_bytes()
        return tuple(Cause(*one) for one in json.loads(content))
    except (OSError, ValueError, TypeError):
        return ()


def told(causes: Iterable[Cause]) -> list[str]:
    """Return causes in words, a line for each error."""
    records: dict[str, list[str]] = {}
    for record, error in dict.fromkeys(causes):
        records.setdefault(error, []).append(record)
    lines = []
    for error, (first, *more) in records.items():
        named = f"{first} and {len(more)} more" if more else first
        lines.append(error if first in error and not more else f"{named}: {error}")
    return lines
