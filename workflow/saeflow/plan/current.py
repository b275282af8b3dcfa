"""Which results are there, once all that are wanted are known.

A result is there if its record states the expected identity and nothing that it consists of looks
damaged (`saeflow.inventory.damage_of`). A store whose data were removed after their last reader is
there while no reader needs it: what was made from it exists. What was made without some of its
inputs (`saeflow.failures`) is not what was asked for. Read `Current`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from saeflow.failures import MISSING
from saeflow.inventory import LOST, Damage, damaged_files, is_whole, lost_files, read_record
from saeflow.plan.result import Result
from saeflow.work import bulk_path, released_at

HARVEST = "harvest"
RELEASE = "release_activations"


def recorded_identity(record: Path) -> str | None:
    """Return the identity that a record states; None where there is none as it was written."""
    return read_record(record).get("identity")


def has_bulk(result: Result) -> bool:
    """Whether the result's bulk was finished under its identity and does not look damaged."""
    if result.suffix is None:
        return False
    return is_whole(bulk_path(result.output, result.identity, result.suffix))


def is_released(result: Result) -> bool:
    """Whether the result's bulk was finished, and its data removed after their last reader."""
    if result.suffix is None:
        return False
    return released_at(result.output, result.identity, result.suffix) is not None


def damages(
    output: Path, identity: str, suffix: str | None, files: Iterable[Path]
) -> Iterator[Damage]:
    """Yield what is wrong with a result whose record states its identity.

    Parameters
    ----------
    output, identity, suffix, files
        As of a `Result`.
    """
    if suffix is not None:
        yield from lost_files(bulk_path(output, identity, suffix))
        return
    yield from damaged_files(output)
    listed = read_record(output).get("files", {})
    yield from (Damage(file, LOST) for file in files if file.name not in listed)


class Current:
    """Says of each result whether it is there and will do.

    Parameters
    ----------
    wanted
        Every result of a run: whether a removed store is needed depends on those that read it.
    """

    def __init__(self, wanted: Iterable[Result]) -> None:
        self._known: dict[Result, bool] = {}
        self._readers: dict[Result, list[Result]] = defaultdict(list)
        for result in wanted:
            if result.rule != RELEASE:
                for other in result.upstream():
                    self._readers[other].append(result)

    def __call__(self, result: Result) -> bool:
        """Whether the result need not be made."""
        if result not in self._known:
            self._known[result] = self._find(result)
        return self._known[result]

    def needing(self, result: Result) -> list[Result]:
        """Return the readers of a result that have yet to be computed from its data."""
        return [
            reader for reader in self._readers[result] if not (self(reader) or has_bulk(reader))
        ]

    def _find(self, result: Result) -> bool:
        record = read_record(result.output)
        if record.get("identity") != result.identity or MISSING in record:
            return False
        if result.rule == RELEASE:
            store = result.inputs["activations"]
            return is_released(store) and self(store)
        if result.suffix is None:
            found = damages(result.output, result.identity, None, result.files)
            return next(found, None) is None
        return has_bulk(result) or (is_released(result) and not self.needing(result))
