"""Map files back to back into one range of addresses, so that many shards are one array.

Read `map_files`. The memory goes when the last array that looks at it goes, never before.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_MAP_FIXED = 0x10
_FAILED = ctypes.c_void_p(-1).value
_POPULATE_READ = 22  # Linux 5.14

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def map_files(files: Sequence[Path], sizes: Sequence[int]) -> np.ndarray:
    """Map the first ``sizes`` bytes of files, one behind the other, as bytes of one array.

    Sizes are multiples of the page size, but for the last one. No file may be cut short while it is
    mapped: reading beyond its end kills the process. The pages can be read only; NumPy takes the
    array for writable, because torch accepts no other.
    """
    total = sum(sizes)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    base = _checked(_libc.mmap(None, total, mmap.PROT_READ, flags, -1, 0))
    buffer = (ctypes.c_uint8 * total).from_address(base)
    weakref.finalize(buffer, _libc.munmap, base, total)
    offset = 0
    for file, size in zip(files, sizes, strict=True):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            flags = mmap.MAP_SHARED | _MAP_FIXED
            _checked(_libc.mmap(base + offset, size, mmap.PROT_READ, flags, descriptor, 0))
        finally:
            os.close(descriptor)  # the mapping stays
        offset += size
    return np.frombuffer(buffer, dtype=np.uint8)


def populate(array: np.ndarray) -> None:
    """Bring a contiguous part of a mapped array into memory, without holding Python's lock.

    Where the system cannot, the pages come when they are first read.
    """
    if not array.size:
        return
    start = array.ctypes.data & ~(mmap.PAGESIZE - 1)
    size = array.ctypes.data + array.nbytes - start
    # Reading cold pages one by one is slow: ask for all of them first.
    _libc.madvise(start, size, mmap.MADV_WILLNEED)
    _libc.madvise(start, size, _POPULATE_READ)


def _checked(address: int) -> int:
    if address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return address
