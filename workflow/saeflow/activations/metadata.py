"""The Zarr metadata of a store: what a store says of itself before it has any value.

Written anew whenever work on a store begins or goes on, so that damaged metadata mend themselves;
metadata of another store in the same place are refused. Read `write_metadata`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr

from saeflow.activations.layout import ARRAY, Layout, create_array
from saeflow.errors import StoreError
from saeflow.files import naming_full_disk, read_object, write_atomic

FORMAT = "saeflow-activations-1"
_NAMES = ("zarr.json", f"{ARRAY}/zarr.json")


def write_metadata(path: Path, layout: Layout, attributes: Mapping[str, Any]) -> None:
    """Write the metadata of an incomplete store and its array; values are left alone.

    ``attributes`` of the group say where the activations come from. A directory that holds a
    store of something else is a `StoreError`.
    """
    with tempfile.TemporaryDirectory() as scratch:
        own = {"format": FORMAT, **attributes, "complete": False}
        group = zarr.create_group(scratch, attributes=own)
        create_array(group, layout)
        contents = {name: (Path(scratch) / name).read_bytes() for name in _NAMES}
    for name, content in contents.items():
        found = read_object(path / name)
        if found:
            _check_same(path / name, found, json.loads(content))
        if found != json.loads(content):
            with naming_full_disk(path / name):
                write_atomic(path / name, content)


def _check_same(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse metadata of a store of another model, dataset, dtype or shape."""
    was, wanted = ({**facts, **facts.get("attributes", {})} for facts in (found, expected))
    ignored = ("attributes", "complete", "released", "consolidated_metadata")
    differing = [key for key in sorted({*was, *wanted}) if was.get(key) != wanted.get(key)]
    differing = [key for key in differing if key not in ignored]
    if differing:
        raise StoreError(
            "a store of something else lies in this place",
            where=path,
            expected=", ".join(f"{key} {wanted.get(key)}" for key in differing),
            got=", ".join(f"{key} {was.get(key)}" for key in differing),
            remedy=f"Delete {path.parent} and run the workflow again.",
        )
