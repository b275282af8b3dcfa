"""Values between torch and the dtypes of the store, bit for bit."""

from __future__ import annotations

import numpy as np
import torch

from saeflow.errors import StoreError

TORCH = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
_INTEGERS = {2: np.int16, 4: np.int32}


def to_storage(x: torch.Tensor, dtype: str) -> np.ndarray:
    """Return a tensor's values (n, d) in a store's dtype, bfloat16 as its bits in uint16."""
    x = x.to(TORCH[dtype]).cpu().contiguous()
    if dtype == "bfloat16":
        return x.view(torch.int16).numpy().view(np.uint16)
    return x.numpy()


def bits(x: np.ndarray) -> torch.Tensor:
    """Return the bits of stored values (n, d) as a tensor of integers that shares the memory.

    NumPy must take it for writable, though nothing here writes to it: torch has no read-only
    tensors.
    """
    return torch.from_numpy(x.view(_INTEGERS[x.itemsize]))


def from_bits(x: torch.Tensor, dtype: str) -> torch.Tensor:
    """Return the float32 values of a tensor of bits (n, d)."""
    return x.view(TORCH[dtype]).float()


def not_finite(dtype: str, where: str, expected: str | None) -> StoreError:
    """Return the error to raise where a dtype cannot hold an activation."""
    return StoreError(
        f"an activation is not a finite {dtype}",
        where=where,
        expected=expected,
        remedy="Set activations.dtype to bfloat16 (or float32)."
        if dtype == "float16"
        else "The model itself gives infinity or NaN on this text.",
    )
