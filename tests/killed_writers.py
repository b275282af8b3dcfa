"""A store that is written in a process of its own, which dies at a chosen point."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import numpy as np

from saeflow.activations.layout import plan_layout
from saeflow.activations.writer import ShardWriter
from saeflow.files import fsync_dir
from saeflow.work import Work, hold

N, D, SHARD, BLOCK = 1_000, 64, 256, 100


def rows() -> np.ndarray:
    """Return the rows (N, D) that are written."""
    return np.random.default_rng(0).standard_normal((N, D)).astype(np.float16)


def write_store(record: Path) -> Work:
    """Write the store, or what is missing of it."""
    x, excluded = rows(), np.arange(N) % 10 == 0
    with hold(record, "0" * 64, ".zarr") as work:
        if work.finished:
            work.publish()
        else:
            work.reopen()
            layout = plan_layout(N, D, "float16", SHARD)
            writer = ShardWriter(work.path, layout, "resid_post.0", {"model": "m"})
            try:
                for start in range(0, N, BLOCK):
                    if writer.wants(start, start + BLOCK):
                        end = start + BLOCK
                        writer.append(start, x[start:end], excluded[start:end])
                work.finish(writer.finalise(), known=writer.hashes)
            finally:
                writer.close()
    return work


def write_and_die(record: Path, point: int) -> None:
    """Write the store and die before the ``point``-th flush or rename."""
    count = counting(point, die)
    os.fsync = count(os.fsync)
    Path.replace = count(Path.replace)
    write_store(record)


def at_commit(number: int, act) -> None:
    """Have this process act when it has committed so many shards, while it computes others."""
    flush, calls = ShardWriter._flush, itertools.count(1)

    def flushed(writer, opened):
        flush(writer, opened)
        if next(calls) == number:
            act()

    ShardWriter._flush = flushed


def die() -> None:
    """End this process as the kernel does when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def counting(point: int, act):
    """Return a wrapper of functions that calls ``act`` before their ``point``-th call."""
    calls = [0]

    def wrap(function):
        def called(*arguments):
            calls[0] += 1
            if calls[0] == point:
                act()
            return function(*arguments)

        return called

    wrap.calls = calls
    return wrap


def n_points(record: Path) -> int:
    """Return how many points there are: flushes and renames of a whole run."""
    count = counting(-1, lambda: None)
    flush, replace = os.fsync, Path.replace
    os.fsync, Path.replace = count(flush), count(replace)
    try:
        write_store(record)
    finally:
        os.fsync, Path.replace = flush, replace
    fsync_dir(record.parent)
    return count.calls[0]
