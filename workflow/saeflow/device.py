"""Where tensors live, and how threads wait: facts of the machine, never of a result's identity."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def let_waiting_threads_sleep() -> None:
    """Let torch's threads that wait give way soon; call it before torch is imported.

    Threads that wait for one that another program has pushed aside spin for milliseconds at every
    barrier (training beside one busy process ran at a twentieth of its speed), and after a
    product they take a core from threads of ours.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def pick() -> torch.device:
    """Return the device named by ``SAEFLOW_DEVICE``, else the GPU if there is one."""
    import torch

    name = os.environ.get("SAEFLOW_DEVICE", "auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextmanager
def one_thread() -> Iterator[int]:
    """Let torch compute with one thread, also in threads that begin meanwhile; give their number.

    For work that is divided among threads otherwise.
    """
    import torch

    n = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield n
    finally:
        torch.set_num_threads(n)


@cache
def machine() -> str:
    """Return what speeds depend on, as far as it is known without torch: "2 x AMD EPYC 7B13"."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []  # not Linux
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} x {names[0] if names else name}"
