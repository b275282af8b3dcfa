"""NumPy over the rows of a large matrix, side by side on as many cores as torch uses.

For comparisons and selections NumPy's kernels are several times as fast as torch's on a CPU, but
run on one core. They release the interpreter's lock, so blocks of rows can run in threads. Read
`each_block`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

Result = TypeVar("Result")

# Small enough that several looks at a block read it from a cache, large enough that a thread is
# worth it: each call waits for the interpreter's lock. (Measured on two cores with 2 MiB of cache
# each: blocks of 1 MiB took up to twice as long in two threads as in one.)
_BLOCK_BYTES = 1 << 22


def each_block(matrix: np.ndarray, function: Callable[[np.ndarray, int], Result]) -> list[Result]:
    """Return ``function(block, number of its first row)`` of each block of rows, in order.

    Parameters
    ----------
    matrix
        (n, d), contiguous.
    function
        Uses NumPy alone: torch would start threads of its own in each of ours. What it returns
        of a row must not depend on the block, whose height is not defined.
    """
    row_bytes = matrix.shape[1] * matrix.itemsize
    height = max(1, _BLOCK_BYTES // max(1, row_bytes))
    starts = range(0, len(matrix), height)
    n_threads = min(torch.get_num_threads(), len(starts))
    if n_threads < 2:
        return [function(matrix[i : i + height], i) for i in starts]
    results: list = [None] * len(starts)

    def work(thread: int) -> None:
        for place in range(thread, len(starts), n_threads):
            i = starts[place]
            results[place] = function(matrix[i : i + height], i)

    with ThreadPoolExecutor(n_threads - 1) as pool:
        others = [pool.submit(work, i) for i in range(1, n_threads)]
        work(0)
    for other in others:
        other.result()  # raises what was raised there
    return results


def flat_nonzero(mask: np.ndarray) -> np.ndarray:
    """Return the flat positions of the true entries of a contiguous ``mask``, rising, int64.

    NOTE: where true entries are rare, looking at eight at once is twice as fast as NumPy.
    """
    flat = mask.reshape(-1)
    if flat.size % 8:
        return np.flatnonzero(flat)
    eights = flat.view(np.uint64)
    places = np.flatnonzero(eights != 0)
    if 4 * len(places) > len(eights):
        return np.flatnonzero(flat)
    inner = np.flatnonzero(eights.take(places).view(bool))
    return (places.take(inner >> 3) << 3) + (inner & 7)


def on_cpu(x: Tensor) -> bool:
    """Return whether NumPy can work on the memory of ``x``."""
    return x.device.type == "cpu"
