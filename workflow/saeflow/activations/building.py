"""A directory that is complete or not there. Read `Building`."""

from __future__ import annotations

import shutil
from pathlib import Path

from saeflow.errors import StoreError
from saeflow.files import fsync_dir
from saeflow.work import sync_tree


class Building:
    """A directory that gets its name once it is complete.

    Parameters
    ----------
    destination
        Its name; a `StoreError` if that exists.
    """

    def __init__(self, destination: Path) -> None:
        self._destination = destination
        self._partial = destination.with_name(f"{destination.name}.partial")

    def __enter__(self) -> Path:
        """Return the directory to write to; what an earlier try left is removed."""
        if self._destination.exists():
            raise StoreError(
                "this exists already",
                where=self._destination,
                remedy="Choose another place, or delete it first.",
            )
        shutil.rmtree(self._partial, ignore_errors=True)
        self._partial.mkdir(parents=True)
        return self._partial

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Flush the files and give the directory its name; after an error, remove it."""
        if kind is not None:
            shutil.rmtree(self._partial, ignore_errors=True)
            return
        sync_tree(self._partial)
        self._partial.replace(self._destination)
        fsync_dir(self._destination.parent)
