"""Remove the rows of a temporary store once nobody needs them; what is known of them stays.

The manifest is renamed first: from then on the store counts as removed, so that a kill at any point
leaves nothing that looks finished. Read `release_stores`.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from saeflow.activations.layout import ARRAY, COMMITS
from saeflow.errors import DamagedError
from saeflow.files import fsync_dir, read_json, write_json
from saeflow.readers import try_lock_unread
from saeflow.task import Task
from saeflow.work import MANIFEST, RELEASED, published

logger = logging.getLogger(__name__)


def release_stores(tasks: Sequence[Task]) -> None:
    """Release the input ``activations`` of each unfinished task; its record says whether it went.

    A store that is missing leaves the others alone.
    """
    for task in tasks:
        if not task.finished:
            with task.attempt():
                task.finish({"released": release(task.inputs["activations"])})


def release(record: Path) -> bool:
    """Remove the rows of a store, unless some process makes or reads it; return whether they went.

    ``record`` is the published ``{hook}.json``, or the manifest of bulk that it does not name any
    more. A store that is in use is left alone; a later run removes it.

    Notes
    -----
    The record, the manifest (as ``released.json``) with its hashes, the mean and the standard
    deviation stay. The array goes with its metadata, since Zarr reads missing shards as zeros.
    """
    manifest, record = Path(record), published(record)
    with try_lock_unread(record) as free:
        if not free:
            logger.warning("%s is in use by another process and stays for now", record)
            return False
        bulk = record.parent / read_json(manifest)["bulk"]
        if (bulk / MANIFEST).is_file():
            (bulk / MANIFEST).replace(bulk / RELEASED)
            fsync_dir(bulk)
        if not (bulk / RELEASED).is_file():
            raise DamagedError(
                "the store to remove is missing or unfinished",
                where=bulk,
                remedy="Run the workflow again: it makes it anew.",
            )
        _say_so(bulk / "zarr.json")
        (bulk / ARRAY / "zarr.json").unlink(missing_ok=True)
        for name in (ARRAY, COMMITS):
            if (bulk / name).is_dir():
                shutil.rmtree(bulk / name)
    return True


def _say_so(metadata: Path) -> None:
    """Take the array out of the group's metadata, so that no reader of Zarr looks for it."""
    facts = read_json(metadata)
    facts.pop("consolidated_metadata", None)
    facts["attributes"] = {**facts["attributes"], "complete": False, "released": True}
    write_json(metadata, facts)
