"""The harvest of activations that stay live: no rows, but what a record must say of them.

A sample of the text goes through the model once for all hooks, for the statistics and to find out
early that a dtype is too small. Read `describe`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import zarr

from saeflow.activations.forward import Window, compute, windows
from saeflow.activations.layout import Layout
from saeflow.activations.live import check_finite
from saeflow.activations.reader import LIVE_FORMAT
from saeflow.activations.sums import ShardSums
from saeflow.activations.values import to_storage
from saeflow.files import read_json
from saeflow.logs import progress
from saeflow.models.hooks import Hook, check_hooks
from saeflow.models.load import load_model
from saeflow.task import Task
from saeflow.tokens.flags import excluded
from saeflow.work import MANIFEST, bulk_of

if TYPE_CHECKING:
    from saeflow.activations.harvest import Source

SAMPLE_TOKENS = 1 << 16


def describe(wanted: Mapping[Hook, Task], source: Source, rows: str) -> None:
    """Finish the tasks of live hooks; one with a value that does not fit its dtype fails.

    ``wanted`` has a task for each hook, as in `saeflow.activations.harvest.harvest`; ``rows`` is
    the name of the row table's directory, beside the works.
    """
    tokens = source.tokens
    layouts = {hook: source.layout(task.settings) for hook, task in wanted.items()}
    batch_tokens = next(iter(wanted.values())).settings["batch_tokens"]
    sample = sample_of(list(windows(tokens, batch_tokens)), SAMPLE_TOKENS)
    for hook, sums in _sums(wanted, layouts, source, sample).items():
        task, work = wanted[hook], wanted[hook].work
        live = {
            **{name: _bulk(record, work.output.parent) for name, record in source.records.items()},
            "batch_tokens": batch_tokens,
            "shard_rows": task.settings.get("shard_rows"),
            "sample": {"rows": sums.n, "windows": len(sample)},
        }
        work.restart()
        group = zarr.create_group(
            str(work.path), attributes={"format": LIVE_FORMAT}, overwrite=True
        )
        facts = {
            "hook": str(hook),
            **source.attributes(rows),
            "live": live,
            "format": LIVE_FORMAT,
            **sums.describe(group, layouts[hook]),  # of the sample, but for the next one
            "n_included_rows": int((~excluded(tokens.read("flags"))).sum()),
        }
        work.finish(facts, needs=[rows])


def sample_of(every: list[Window], n_tokens: int) -> list[Window]:
    """Choose as many windows as have about ``n_tokens``, at equal distances over the dataset."""
    mean = every[-1].end / len(every)
    n = min(len(every), max(1, round(n_tokens / mean)))
    return [every[(2 * i + 1) * len(every) // (2 * n)] for i in range(n)]


def _sums(
    wanted: Mapping[Hook, Task],
    layouts: Mapping[Hook, Layout],
    source: Source,
    sample: list[Window],
) -> dict[Hook, ShardSums]:
    """Return the sums over the ordinary rows of a sample, of every hook in one pass."""
    model, tokens = load_model(source.records["model"]), source.tokens
    sums = {}
    for hook, task in wanted.items():
        with task.attempt():
            check_hooks(model, [hook])
            sums[hook] = ShardSums.zero(layouts[hook])
    for window in progress(sample, desc="statistics of live activations", unit="windows"):
        if not sums:
            break
        dtypes = {hook: layouts[hook].dtype for hook in sums}
        left_out = excluded(tokens.read("flags", window.start, window.end))
        for hook, x in compute(model, dtypes, tokens, window).items():
            with wanted[hook].attempt():
                check_finite(x, hook, dtypes[hook], window)
                sums[hook].add(to_storage(x, dtypes[hook]), left_out)
            if wanted[hook].error:
                del sums[hook]
    return {hook: one.close() for hook, one in sums.items()}


def _bulk(record: Path, place: Path) -> dict[str, str]:
    """Return where finished bulk lies, seen from ``place``, and its identity."""
    manifest = bulk_of(record) / MANIFEST
    relative = os.path.relpath(manifest, place)
    return {"manifest": Path(relative).as_posix(), "identity": read_json(manifest)["identity"]}
