"""Dense matrix products, in the precision that a recipe asks for.

With ``bfloat16`` both factors are rounded to 8 significant bits; products and sums are float32,
as in the matrix units of GPUs. On a GPU they do it. A CPU's bfloat16 product would round the
result too, by which pre-activations tie, so there the rounded factors are multiplied in float32:
the same result, at no gain. Read `mm`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def mm(a: Tensor, b: Tensor, dtype: str, out: Tensor | None = None) -> Tensor:
    """Return ``a @ b``, (n, m), in the precision of ``a``.

    Parameters
    ----------
    a, b
        (n, d) and (d, m).
    dtype
        "bfloat16", to which the factors are rounded, or "float32", which leaves them as they are.
    out
        Where to write the result.
    """
    if dtype == "float32":
        return torch.mm(a, b, out=out)
    low_a, low_b = a.bfloat16(), b.bfloat16()
    if a.device.type == "cuda" and a.dtype == torch.float32:
        return torch.mm(low_a, low_b, out_dtype=torch.float32, out=out)
    return torch.mm(low_a.to(a.dtype), low_b.to(b.dtype), out=out)
