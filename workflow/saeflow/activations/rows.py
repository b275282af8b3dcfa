"""The row table: which token of which document each row of activations belongs to.

A copy of the token store's columns, made once for all hooks of a place, so that a store of
activations can be read, moved and shared without the token store. Read `write_rows`.
"""

from __future__ import annotations

from pathlib import Path

import xxhash
import zarr

from saeflow.errors import DamagedError
from saeflow.files import naming_full_disk, sha256_text
from saeflow.inventory import DISCARD, read_inventory
from saeflow.tokens.columns import DTYPES
from saeflow.tokens.store import TokenStore
from saeflow.work import Work

FORMAT = "saeflow-rows-1"
_BLOCK_BYTES = 1 << 20


def rows_identity(tokens_identity: str) -> str:
    """Return the identity of the row table of a token store."""
    return sha256_text(f"{FORMAT} {tokens_identity}")


def write_rows(work: Work, tokens: TokenStore) -> None:
    """Copy a token store's columns and finish the work; an altered file is a `DamagedError`.

    The files are copied, not the values: in memory there is never more than a block.
    """
    work.restart()
    zarr.create_group(str(work.path), attributes={"format": FORMAT})
    known = {}
    for name, facts in read_inventory(tokens.path).items():
        if name.partition("/")[0] not in DTYPES:
            continue
        known[name] = _copy(tokens.path / name, work.path / name)
        if known[name] != facts["xxh3_128"]:
            raise DamagedError(
                "a file of the token store is not what was written",
                where=tokens.path / name,
                remedy=DISCARD,
            )
    about = {"format": FORMAT, "tokens": tokens.record["identity"]}
    work.finish(about, known=known)


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return the xxh3_128 of its content."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = xxhash.xxh3_128()
    with naming_full_disk(target), source.open("rb") as content, target.open("wb") as out:
        while block := content.read(_BLOCK_BYTES):
            digest.update(block)
            out.write(block)
    return digest.hexdigest()
