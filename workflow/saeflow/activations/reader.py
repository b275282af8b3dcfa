"""Open stored activations: the values, the row table, the statistics, and whether all is whole.

Completeness is decided by manifest and commit records, never by Zarr, which reads a missing
shard as zeros. Read `open_store` first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xxhash
import zarr

from saeflow.activations.array import REPAIR, Activations, open_array
from saeflow.activations.layout import ARRAY, shard_name
from saeflow.activations.rows import Rows
from saeflow.activations.writer import FORMAT
from saeflow.errors import DamagedError, StoreError
from saeflow.files import read_json
from saeflow.tokens.store import split_range
from saeflow.work import MANIFEST, bulk_of

_BLOCK_BYTES = 1 << 23


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
    activations : Activations
        The rows (n_rows, d_model), to be indexed like an array.
    rows : Rows
        token_id, document, position, document_position, flags (n_rows,) and sequence_offsets.
    """

    def __init__(self, record: Path) -> None:
        record = Path(record)
        self.record: dict[str, Any] = read_json(record)
        if self.record.get("format") != FORMAT:
            raise StoreError(
                "these activations are of another format",
                where=record,
                expected=FORMAT,
                got=self.record.get("format"),
                remedy="Use the version of saeflow that wrote them, or make them anew.",
            )
        self.path = record.parent if record.name == MANIFEST else bulk_of(record)
        rows = self.path.parent / self.record["rows"]
        if not (rows / MANIFEST).is_file():
            raise DamagedError("the row table is missing", where=rows, remedy=REPAIR)
        self.rows = Rows(rows)
        self.activations: Activations = open_array(self.path)
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

    @property
    def token_ranges(self) -> dict[str, tuple[int, int]]:
        """First row of each split and the one after its last."""
        return {split: (a, b) for split, (a, b) in self.record["token_ranges"].items()}

    def ranges(self, split: str) -> tuple[int, int]:
        """Return the first row of a split and the one after its last."""
        return split_range(self.record, "token_ranges", split)

    def sequence_range(self, split: str) -> tuple[int, int]:
        """Return the first sequence of a split and the one after its last."""
        return split_range(self.record, "sequence_ranges", split)

    def verify(self) -> int:
        """Compare every shard and column with the hash taken when it was written.

        Returns
        -------
        int
            Bytes read.

        Raises
        ------
        DamagedError
            If a file is missing or altered; it names them.
        """
        damaged, total = [], 0
        for shard, expected in enumerate(self.record["shards"]):
            file = self.path / ARRAY / shard_name(shard)
            digest, n = _hash(file)
            total += n
            if digest != expected:
                damaged.append(file)
        if damaged:
            raise DamagedError(
                f"{len(damaged)} of {len(self.record['shards'])} shards are not what was written",
                where=", ".join(map(str, damaged)),
                remedy=REPAIR,
            )
        return total + self.rows.verify()

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
        return np.asarray(group[name][:])

    def _check_shape(self) -> None:
        got = (*self.activations.shape, self.activations.dtype, self.rows.length("token_id"))
        expected = (self.n_rows, self.d_model, self.record["dtype"], self.n_rows)
        if got != expected:
            raise DamagedError(
                "the array, its row table and the record do not belong together",
                where=self.path,
                expected="{} rows of width {}, {}, with {} tokens".format(*expected),
                got="{} rows of width {}, {}, with {} tokens".format(*got),
                remedy=REPAIR,
            )


def open_store(record: Path) -> Store:
    """Open the activations that a record (``{hook}.json``) names.

    Raises
    ------
    DamagedError
        If they are unfinished, or a shard is missing, cut short or has a damaged index.
    StoreError
        If they are of another format.
    """
    return Store(record)


def _hash(file: Path) -> tuple[str, int]:
    """Return a file's hash and size; a missing file has the hash of nothing."""
    digest, n = xxhash.xxh3_128(), 0
    if file.is_file():
        buffer = memoryview(bytearray(_BLOCK_BYTES))
        with file.open("rb", buffering=0) as content:
            while size := content.readinto(buffer):
                digest.update(buffer[:size])
                n += size
    return digest.hexdigest(), n
