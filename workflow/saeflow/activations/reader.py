"""Open stored activations: the values, the row table, the statistics, and whether all is whole.

Completeness is decided by the manifest and its inventory, never by Zarr, which reads a missing
shard as zeros. Read `open_store` first.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from saeflow.activations.array import Activations, open_array
from saeflow.activations.layout import FORMAT
from saeflow.errors import DamagedError, StoreError
from saeflow.files import read_json
from saeflow.inventory import CHECKSUM, DISCARD, MANIFEST, REPAIR, altered_files, check_whole
from saeflow.registry import load
from saeflow.tokens.columns import TokenColumns
from saeflow.tokens.store import split_range
from saeflow.work import bulk_of

ARCHIVE_FORMAT = "saeflow-archive-1"
LIVE_FORMAT = "saeflow-live-1"


class Store:
    """The activations of one hook over one packed dataset.

    Parameters
    ----------
    record
        The published ``{hook}.json``, or the manifest of finished bulk.

    Attributes
    ----------
    record : dict
        What it says: hook, d_model, n_rows, dtype, rms, mean_norm and where they come from.
    path : Path
        The directory that holds them.
    activations : Activations
        The rows (n_rows, d_model), to be indexed like an array.
    rows : TokenColumns
        token_id, document, position, document_position, flags (n_rows,) and sequence_offsets.
    """

    def __init__(self, record: Path) -> None:
        record = _record_of(Path(record))
        self.record: dict[str, Any] = read_json(record)
        if self.record.get("format") not in (FORMAT, ARCHIVE_FORMAT, LIVE_FORMAT):
            raise StoreError(
                "these activations are of another format",
                where=record,
                expected=f"{FORMAT}, {ARCHIVE_FORMAT} or {LIVE_FORMAT}",
                got=self.record.get("format"),
                remedy="Use the version of saeflow that wrote them, or make them anew.",
            )
        self.path = bulk_of(record)
        if record.name != MANIFEST:
            manifest = read_json(self.path / MANIFEST)
            _check_equal(self.path, manifest, self.record, {*manifest, *self.record} - {CHECKSUM})
        check_whole(self.path)
        if self.record["format"] == ARCHIVE_FORMAT:
            self.rows = TokenColumns(self.path / self.record["rows"])
            self.activations: Activations = load("activations", "archive").open_archived(
                self.path, self.record
            )
        else:
            rows = self.path.parent / self.record["rows"]
            _check_equal(rows, read_json(rows / MANIFEST), self.record, ("tokens",))
            self.rows = TokenColumns(rows)
            self.activations = (
                load("activations", "live").open_live(self.path, self.record)
                if self.record["format"] == LIVE_FORMAT  # computed whenever they are read
                else open_array(self.path)
            )
        self._check_shape()

    @property
    def hook(self) -> str:
        """Where in the model the rows were taken."""
        return self.record["hook"]

    @property
    def n_rows(self) -> int:
        """Number of rows, special tokens included."""
        return self.record["n_rows"]

    @property
    def d_model(self) -> int:
        """Width of a row."""
        return self.record["d_model"]

    @property
    def mean(self) -> np.ndarray:
        """Mean over the rows that are not excluded, (d_model,) float32."""
        return self._statistic("mean")

    @property
    def std(self) -> np.ndarray:
        """Standard deviation over the rows that are not excluded, (d_model,) float32."""
        return self._statistic("std")

    def ranges(self, split: str) -> tuple[int, int]:
        """Return the first row of a split and the one after its last."""
        return split_range(self.record, "token_ranges", split)

    def sequence_range(self, split: str) -> tuple[int, int]:
        """Return the first sequence of a split and the one after its last."""
        return split_range(self.record, "sequence_ranges", split)

    def text(self, tokenizer: Any = None) -> Any:
        """Return what maps rows to their text; see `saeflow.activations.text.RowTexts`."""
        return load("activations", "text").RowTexts(self.rows, tokenizer)

    def verify(self) -> int:
        """Compare every file of the store and its row table with the hash taken when written.

        Returns the bytes read; a `DamagedError` names files that are missing or altered.
        """
        read: list[int] = []
        damaged = list(altered_files(self.path, read.append))
        if self.rows.path.parent != self.path:
            damaged.extend(altered_files(self.rows.path, read.append))
        if damaged:
            raise DamagedError(
                f"{len(damaged)} of the store's files are not what was written",
                where=", ".join(str(damage.path) for damage in damaged),
                remedy=DISCARD,
            )
        return sum(read)

    def close(self) -> None:
        """Let go of the mapped files."""
        self.activations.close()

    def __enter__(self) -> Store:
        """Give the store to a ``with`` block that closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the store."""
        self.close()

    def _statistic(self, name: str) -> np.ndarray:
        group = zarr.open_group(str(self.path), mode="r", use_consolidated=False)
        values = np.asarray(group[name][:])
        check_whole(self.path)  # a file that went away meanwhile was read as zeros
        return values

    def _check_shape(self) -> None:
        got = (*self.activations.shape, self.activations.dtype, self.rows.length("token_id"))
        dtype = self.record.get("values", self.record["dtype"])
        expected = (self.n_rows, self.d_model, dtype, self.n_rows)
        if got != expected:
            raise DamagedError(
                "the array, its row table and the record do not belong together",
                where=self.path,
                expected="{} rows of width {}, {}, with {} tokens".format(*expected),
                got="{} rows of width {}, {}, with {} tokens".format(*got),
                remedy=REPAIR,
            )


def _record_of(path: Path) -> Path:
    """Return the record that a path means: itself, or the manifest of the directory."""
    if not path.is_dir():
        return path
    if (path / MANIFEST).is_file():
        return path / MANIFEST
    raise StoreError(
        "this directory is no finished store of activations",
        where=path,
        expected="a record ({hook}.json) or the directory that it names",
        remedy="`saeflow info` tells what is in it.",
    )


def _check_equal(
    where: Path, found: dict[str, Any], record: dict[str, Any], names: Collection[str]
) -> None:
    """Refuse data that were put in the place of those that the record means."""
    differing = [n for n in sorted(names) if found.get(n) != record.get(n)]
    if differing:
        raise DamagedError(
            "these data and the record do not belong together",
            where=where,
            expected=", ".join(f"{n} {record.get(n)}" for n in differing),
            got=", ".join(f"{n} {found.get(n)}" for n in differing),
            remedy="Put back the data that the record names, or delete it and run the workflow.",
        )


def open_store(record: Path) -> Store:
    """Open the activations that a record (``{hook}.json``), or the directory it names, holds.

    If they are unfinished, a shard is missing, cut short or has a damaged index, or the record and
    the data belong to different stores, that is a `DamagedError`; another format is a `StoreError`.
    """
    return Store(record)
