"""Numbers that come from outside, checked for being numbers. Read `require_finite`."""

from __future__ import annotations

from torch import Tensor

from saeflow.errors import DamagedError, SaeflowError


def require_finite(
    x: Tensor,
    name: str,
    *,
    where: object,
    remedy: str,
    error: type[SaeflowError] = DamagedError,
) -> None:
    """Raise ``error`` unless every entry of a tensor, of any shape and type, is a finite number.

    The message says what it is (``name``), the file that it is from and what to do about it.
    """
    if not x.is_floating_point():
        return
    x = x.float() if x.itemsize == 1 else x  # eight bits can be stored and not added
    if bool(x.sum().isfinite()):  # NaN and infinity go into any sum
        return
    bad = ~x.isfinite()
    n = int(bad.sum())
    if n == 0:  # the sum alone is too large
        return
    first = tuple(bad.nonzero()[0].tolist())
    raise error(
        f"{name} is not a number everywhere",
        where=where,
        expected="finite numbers",
        got=f"{x[first].item()} at {list(first)}; {n:,} of {x.numel():,} entries are NaN or"
        " infinite",
        remedy=remedy,
    )
