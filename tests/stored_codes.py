"""Codes of known content, written as the measure ``codes`` writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from saeflow.measures.codes import DOCUMENTS, LATENTS, LIVE, ROWS, STATUSES, StoredCodes, open_codes
from saeflow.measures.codes.files import CodesWriter
from saeflow.measures.sums import write_table
from saeflow.work import hold


def stored(
    root: Path,
    dense: np.ndarray,
    lengths: Sequence[int] | None = None,
    status: Sequence[str] | None = None,
    *,
    rows: np.ndarray | None = None,
    first_document: int = 0,
    **columns: np.ndarray,
) -> StoredCodes:
    """Write codes (n_tokens, d_sae) on documents of some lengths, and rows of a store.

    ``columns`` stand in the place of those of ``latents.parquet`` that codes alone do not tell.
    """
    dense = np.asarray(dense, dtype=np.float32)
    n_tokens, d_sae = dense.shape
    lengths = [n_tokens] if lengths is None else lengths
    status = np.array([LIVE] * d_sae if status is None else status)
    wide, counts = dense.astype(np.float64), (dense != 0).sum(axis=1)
    ends = np.cumsum([0, *lengths])
    latents = {
        "latent": np.arange(d_sae), "active": (dense != 0).sum(axis=0), "sum": wide.sum(axis=0),
        "square": (wide**2).sum(axis=0), "max": wide.max(axis=0), "norm": np.ones(d_sae),
        "carried": (wide**2).sum(axis=0), "status": status, "twin": np.full(d_sae, -1),
        "nearest": np.zeros(d_sae), **columns,
    }  # fmt: skip
    documents = {
        "document": first_document + np.arange(len(lengths)), "n_tokens": np.array(lengths),
        "active": np.array([counts[a:b].sum() for a, b in zip(ends[:-1], ends[1:], strict=True)]),
    }  # fmt: skip
    with hold(root / "codes.json", "c" * 64) as work:
        with CodesWriter(work.path, d_sae) as writer:
            for part in np.array_split(dense, 3):
                token, index = np.nonzero(part)
                own = np.bincount(token, minlength=len(part))
                writer.append(part[token, index], index, own)
        np.save(work.path / ROWS, np.arange(n_tokens) if rows is None else rows)
        write_table(work.path / DOCUMENTS, documents)
        write_table(work.path / LATENTS, latents)
        facts = {"d_in": 2, "d_sae": d_sae, "n_tokens": n_tokens, "n_documents": len(lengths)}
        of_each = {name: int((status == name).sum()) for name in STATUSES}
        work.finish({**facts, "asked": n_tokens, "tokens": "t" * 64, "counts": of_each})
        work.publish()
    return open_codes(root / "codes.json")
