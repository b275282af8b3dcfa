"""The loop of a harvest: forward passes here, and a thread beside them that writes.

Checks, hashes and file writes leave Python's lock to the forward pass, so that it waits for them
only where the disk is slower than the model. Read `fill`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from saeflow.activations.forward import Window, compute, windows
from saeflow.activations.layout import Layout
from saeflow.activations.values import to_storage
from saeflow.activations.writer import ShardWriter
from saeflow.interrupt import Stop
from saeflow.logs import Progress
from saeflow.models.hooks import Hook, check_hooks
from saeflow.task import Task
from saeflow.tokens.flags import excluded
from saeflow.tokens.store import TokenStore

logger = logging.getLogger(__name__)

# Windows that were computed and not written yet: one that is being written, one that waits.
_PENDING = 2


def fill(
    writers: Mapping[Hook, ShardWriter],
    tasks: Mapping[Hook, Task],
    model: torch.nn.Module,
    tokens: TokenStore,
    stop: Stop,
) -> None:
    """Compute and write every missing shard of some hooks.

    At most three windows are in memory at a time: one that is computed and two that are written.

    Parameters
    ----------
    writers
        One per hook, for the same rows.
    tasks
        Of the hooks, in one ``batch_tokens``. A hook that the model lacks, or whose values do not
        fit its dtype, fails and is left out from then on.
    model, tokens
        What has the hooks, and what it reads.
    stop
        Asked after each window.
    """
    for hook in writers:
        with tasks[hook].attempt():
            check_hooks(model, [hook])
    writers = {hook: writer for hook, writer in writers.items() if tasks[hook].error is None}
    if not writers:
        return
    first, any_writer = next(iter(writers.items()))
    layout, missing = any_writer.layout, set().union(*(w.missing for w in writers.values()))
    total = _n_rows(layout, any_writer.shards)
    done = total - _n_rows(layout, missing)
    if done:
        logger.info("%s of %s tokens were stored by an earlier run", f"{done:,}", f"{total:,}")
    n_bytes = 0
    with (
        Progress(
            total,
            desc="harvest",
            unit="tokens",
            done=done,
            note=lambda: f"{n_bytes / 1e9:.2f} GB written",
        ) as bar,
        _Behind(_append, _PENDING) as behind,
    ):
        for window in windows(tokens, tasks[first].settings["batch_tokens"]):
            wanting = {
                hook: writer
                for hook, writer in writers.items()
                if tasks[hook].error is None and writer.wants(window.start, window.end)
            }
            if not wanting:
                continue
            dtypes = {hook: writer.layout.dtype for hook, writer in wanting.items()}
            found = compute(model, dtypes, tokens, window)
            left_out = excluded(tokens.part("flags", window.start, window.end))
            behind.put(window, found, left_out, wanting, tasks)
            n = _overlap(layout, missing, window)
            n_bytes += n * sum(writer.layout.row_bytes for writer in wanting.values())
            bar.update(n)
            stop.check()


def _append(
    window: Window,
    found: dict[Hook, torch.Tensor],
    left_out: np.ndarray,
    writers: Mapping[Hook, ShardWriter],
    tasks: Mapping[Hook, Task],
) -> None:
    for hook, writer in writers.items():
        x = to_storage(found.pop(hook), writer.layout.dtype)
        if tasks[hook].error is None:
            with tasks[hook].attempt():
                writer.append(window.start, x, left_out)


def _n_rows(layout: Layout, shards: Iterable[int]) -> int:
    return sum(end - start for start, end in map(layout.rows_of, shards))


def _overlap(layout: Layout, shards: Iterable[int], window: Window) -> int:
    """Return how many rows of a window lie in some shards."""
    size, n = layout.shard_rows, 0
    for shard in range(window.start // size, -(-window.end // size)):
        if shard in shards:
            start, end = layout.rows_of(shard)
            n += min(end, window.end) - max(start, window.start)
    return n


class _Behind:
    """Calls a function in a thread, in order; a failure is raised at the next call or at the end.

    ``n_pending`` calls may be unfinished; `put` waits for room.
    """

    def __init__(self, function: Callable[..., None], n_pending: int) -> None:
        self._function, self._n_pending = function, n_pending
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._pending: deque[Future[None]] = deque()
        self._failed = False

    def put(self, *arguments: Any) -> None:
        """Hand over the arguments of one call."""
        while len(self._pending) >= self._n_pending:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(self._call, *arguments))

    def _call(self, *arguments: Any) -> None:
        if self._failed:
            return  # what follows a failed write would be out of order
        try:
            self._function(*arguments)
        except BaseException:
            self._failed = True
            raise

    def __enter__(self) -> _Behind:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for every call; what was computed before an interruption is not lost."""
        self._pool.shutdown(wait=True)
        if kind is None:
            for future in self._pending:
                future.result()
