"""Bytes and files of a store of activations, from its layout alone: exact.

Read `store_size`.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple


class Size(NamedTuple):
    """What lies in a store's array.

    Attributes
    ----------
    n_bytes : int
        Of all shards.
    n_shards : int
        Files of the array.
    n_files : int
        Files of the whole store: the shards, two small ones for each, and the metadata.
    small_bytes : int
        About the bytes of the files beside the shards.
    """

    n_bytes: int
    n_shards: int
    n_files: int
    small_bytes: int


_METADATA_FILES = 8
_COMMIT_BYTES = 400
_FIXED_BYTES = 5_000


@cache
def store_size(n_rows: int, d_model: int, dtype: str, shard_rows: int | None = None) -> Size:
    """Return the size of one hook's store.

    Parameters
    ----------
    n_rows, d_model
        Shape of the array.
    dtype
        float16, bfloat16 or float32.
    shard_rows
        Rows of a shard, where they are not the default.
    """
    from saeflow.activations.layout import plan_layout

    layout = plan_layout(n_rows, d_model, dtype, shard_rows)
    n = layout.n_shards
    n_bytes = sum(layout.file_bytes(shard) for shard in range(n))
    # the sums of a shard: a count, a norm, and two vectors, in float64
    small = n * (_COMMIT_BYTES + 8 * (2 + 2 * d_model)) + 2 * 4 * d_model + _FIXED_BYTES
    return Size(n_bytes, n, 3 * n + _METADATA_FILES, small)
