"""Codes as sparse matrices, which probes read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from saeflow.errors import ModelError
from saeflow.sae.sparse.codes import Codes

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def require_finite(latents: np.ndarray, where: str) -> None:
    """Raise a `ModelError` if some of an SAE's latents (n,) are not finite numbers."""
    finite = np.isfinite(latents)
    if not finite.all():
        raise ModelError(
            "some latents of the SAE are not finite numbers",
            expected=f"finite numbers {where}",
            got=f"{int((~finite).sum())} of {len(latents)} that are none",
            remedy="Leave the SAE out of the study's `saes`, or train it anew.",
        )


def matrix(codes: Codes) -> csr_matrix:
    """Return codes as a sparse matrix (n, d_sae)."""
    from scipy.sparse import csr_matrix

    values, rows, index = (a.cpu().numpy() for a in (codes.values, codes.rows, codes.index))
    return csr_matrix((values, (rows, index)), shape=(len(codes), codes.d_sae))
