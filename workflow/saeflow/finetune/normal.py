"""Sums from which the best decoder for given codes follows without another look at the data.

With a frozen encoder the squared error is quadratic in the decoder, so that its minimum, and its
value anywhere, follow from the second moments of codes and activations. Read `NormalEquations`;
`closed_form.py` solves them.
"""

from __future__ import annotations

import os
import warnings

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from saeflow.errors import ConfigError
from saeflow.sae.sparse.codes import Codes

# Share of active entries above which dense products are faster than MKL's sparse ones, on one core
# and on two; measured for d_sae 512 to 4096. It depends on the batch alone, so a resumed run does
# the same.
_DENSE_ABOVE = 0.12

# G itself, one with the ridge, its factor, and the validation documents' own G.
_COPIES = 4


class NormalEquations:
    """Second moments of codes f (d_sae,) and activations x (d_in,), in float64.

    Attributes
    ----------
    n : int
        Tokens added.
    G, C : ndarray (d_sae, d_sae), (d_sae, d_in)
        Sums of f f^T and of f x^T.
    f, x : ndarray (d_sae,), (d_in,)
        Sums of f and of x.
    xx : float
        Sum of |x|^2.
    active : ndarray (d_sae,) int64
        Tokens on which each latent is active.
    """

    def __init__(self, d_sae: int, d_in: int) -> None:
        require_memory(d_sae)
        self.n, self.xx = 0, 0.0
        self.G = np.zeros((d_sae, d_sae))
        self.C = np.zeros((d_sae, d_in))
        self.f, self.x = np.zeros(d_sae), np.zeros(d_in)
        self.active = np.zeros(d_sae, dtype=np.int64)

    def add(self, codes: Codes, x: Tensor) -> None:
        """Add tokens: their codes and their activations ``x`` (n, d_in)."""
        x = x.double().cpu()
        values, index, offsets = (
            part.cpu() for part in (codes.values.double(), codes.index, codes.offsets)
        )
        f = csr_matrix((values, index, offsets), shape=(len(codes), codes.d_sae))
        _add_products(self.G, self.C, f, x)
        self.f += np.bincount(index, weights=values, minlength=codes.d_sae)
        self.active += np.bincount(index, minlength=codes.d_sae)
        self.x += x.sum(0).numpy()
        self.xx += float(x.square().sum())
        self.n += len(x)

    def squared_error(self, W_dec: np.ndarray, b_dec: np.ndarray) -> float:
        """Return the sum over the tokens of |f W_dec + b_dec - x|^2."""
        rows = torch.from_numpy(np.ascontiguousarray(W_dec))
        fit = float((torch.from_numpy(self.G) @ rows).mul_(rows).sum())
        fit -= 2 * float(np.vdot(self.C, W_dec))
        bias = self.n * float(b_dec @ b_dec) + 2 * float(b_dec @ (self.f @ W_dec - self.x))
        return max(0.0, self.xx + fit + bias)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the sums by name, for a checkpoint."""
        counts = {"n": np.array(self.n), "xx": np.array(self.xx)}
        return {name: getattr(self, name) for name in ("G", "C", "f", "x", "active")} | counts

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> NormalEquations:
        """Return the sums that `arrays` gave."""
        found = cls(*arrays["C"].shape)
        for name in ("G", "C", "f", "x", "active"):
            getattr(found, name)[...] = arrays[name]
        found.n, found.xx = int(arrays["n"]), float(arrays["xx"])
        return found


def _add_products(G: np.ndarray, C: np.ndarray, f: csr_matrix, x: Tensor) -> None:
    """Add f^T f to ``G`` and f^T x to ``C``, both dense."""
    if f.nnz > _DENSE_ABOVE * np.prod(f.shape):
        dense = torch.from_numpy(f.toarray())
        torch.from_numpy(G).addmm_(dense.T, dense)
        torch.from_numpy(C).addmm_(dense.T, x)
    elif torch.backends.mkl.is_available():
        # a product of two sparse matrices into a dense one, which SciPy does not have
        rows, columns = _torch_csr(f), _torch_csr(f.T.tocsr())
        torch.from_numpy(G).addmm_(columns, rows)
        torch.from_numpy(C).addmm_(columns, x)
    else:
        columns = f.T.tocsr()
        part = columns @ f
        rows = np.repeat(np.arange(len(G), dtype=np.int64), np.diff(part.indptr))
        G.reshape(-1)[rows * len(G) + part.indices] += part.data  # its entries are distinct
        C += columns @ x.numpy()


def _torch_csr(matrix: csr_matrix) -> Tensor:
    parts = map(torch.from_numpy, (matrix.indptr, matrix.indices, matrix.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(*parts, size=matrix.shape, check_invariants=False)


def require_memory(d_sae: int) -> None:
    """Raise a `ConfigError` where the sums of an SAE do not fit into this machine's memory."""
    needed = _COPIES * 8 * d_sae**2
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise ConfigError(
            "the exact solution of an SAE of this width does not fit into memory",
            expected=f"{there / 2**30:.1f} GiB",
            got=f"{needed / 2**30:.1f} GiB: {_COPIES} matrices of {d_sae:,} x {d_sae:,} in float64",
            remedy="Fine-tune it by gradient steps: leave `solver: exact` out.",
        )
