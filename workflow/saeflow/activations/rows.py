"""The row table: which token of which document each row of activations belongs to.

A copy of the token store's columns, made once for all hooks of a place, so that a store of
activations can be read, moved and shared without the token store. Read `write_rows`.
"""

from __future__ import annotations

import numpy as np

from saeflow.files import sha256_text
from saeflow.tokens.columns import Columns, ColumnWriter
from saeflow.tokens.store import DTYPES, TokenStore
from saeflow.work import Work

FORMAT = "saeflow-rows-1"
COLUMNS = ("token_id", "document", "position", "document_position", "flags", "sequence_offsets")
_BLOCK_ROWS = 1 << 22


def rows_identity(tokens_identity: str) -> str:
    """Return the identity of the row table of a token store."""
    return sha256_text(f"{FORMAT} {tokens_identity}")


def write_rows(work: Work, tokens: TokenStore) -> None:
    """Copy a token store's columns and finish the work."""
    work.restart()
    writer = ColumnWriter(work.path, {name: DTYPES[name] for name in COLUMNS}, {"format": FORMAT})
    for name in COLUMNS:
        for start in range(0, tokens.columns.length(name), _BLOCK_ROWS):
            writer.append(**{name: tokens.columns.read(name, start, start + _BLOCK_ROWS)})
    writer.close()
    work.finish({"format": FORMAT, "tokens": tokens.record["identity"]})


class Rows(Columns):
    """The row table of a store; columns are loaded when first asked for, and stay.

    Columns can be written ``rows["flags"]`` or ``rows.flags``.
    """

    @property
    def token_id(self) -> np.ndarray:
        """Token ids, (n_rows,) uint32."""
        return self["token_id"]

    @property
    def document(self) -> np.ndarray:
        """Number of each row's document in the dataset, (n_rows,) uint32."""
        return self["document"]

    @property
    def position(self) -> np.ndarray:
        """Index of each row's token in its sequence, (n_rows,) uint16."""
        return self["position"]

    @property
    def document_position(self) -> np.ndarray:
        """Index of each row's token among its document's tokens, (n_rows,) uint32."""
        return self["document_position"]

    @property
    def flags(self) -> np.ndarray:
        """Bits of `saeflow.tokens.flags`, (n_rows,) uint8."""
        return self["flags"]

    @property
    def sequence_offsets(self) -> np.ndarray:
        """First row of each sequence, and the end, (n_sequences + 1,) int64."""
        return self["sequence_offsets"]
