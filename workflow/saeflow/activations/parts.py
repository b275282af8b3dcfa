"""A part of a harvest in a job of its own, so that several machines fill the same stores.

A part is a range of shards, the same ones in the store of every hook. Parts write different files
and finish nothing: `saeflow.activations.harvest.harvest` comes after them, computes what is
missing all the same and completes the stores. Read `harvest_part`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from saeflow.activations.harvest import Source
from saeflow.activations.writer import ShardWriter
from saeflow.files import write_json
from saeflow.locks import locked
from saeflow.models.hooks import Hook
from saeflow.work import Work, hold

logger = logging.getLogger(__name__)


def harvest_part(
    output: Path,
    identity: str,
    settings: Mapping[str, Any],
    stores: Sequence[Mapping[str, Any]],
    *,
    model_record: Path,
    tokens_record: Path,
) -> None:
    """Compute the missing shards of one part and write its receipt.

    Parameters
    ----------
    output
        The receipt: which shards of which stores are committed.
    identity
        The job's identity.
    settings
        ``part`` (from 1) of ``of``, and ``stores``: the identity of each hook's store.
    stores
        Those that are not complete: ``output``, ``identity``, ``suffix`` and ``settings`` of the
        jobs that complete them.
    model_record, tokens_record
        ``model.json`` and ``tokens.json``.

    Raises
    ------
    ModelError, StoreError
        As `saeflow.activations.harvest.harvest`.

    Notes
    -----
    Each store is held together with the other parts; who completes it waits for all of them.
    """
    output, shards = Path(output), range(0)
    with locked(output), ExitStack() as stack:
        works = _hold(stores, stack)
        if works:
            source = Source(model_record, tokens_record)
            first = next(iter(works.values()))[1]
            shards = shards_of(settings["part"], settings["of"], source.layout(first).n_shards)
            place = output.parent.parent
            rows = stack.enter_context(source.rows(place, shared=True))
            writers = _writers(source, works, place, rows, shards)
            for writer in writers.values():
                stack.callback(writer.close)
            source.compute(writers, first["batch_tokens"])
        receipt = {name: settings[name] for name in ("part", "of", "stores")}
        write_json(output, {**receipt, "shards": [shards.start, shards.stop], "identity": identity})


def shards_of(part: int, of: int, n_shards: int) -> range:
    """Return the shards of a part (from 1): contiguous, and all parts together each once."""
    return range(n_shards * (part - 1) // of, n_shards * part // of)


_Works = dict[Hook, tuple[Work, Mapping[str, Any]]]


def _hold(stores: Sequence[Mapping[str, Any]], stack: ExitStack) -> _Works:
    """Hold the unfinished stores, in one order for all processes."""
    works: _Works = {}
    for store in sorted(stores, key=lambda store: store["output"]):
        held = hold(Path(store["output"]), store["identity"], store["suffix"], shared=True)
        work = stack.enter_context(held)
        if not work.finished:
            works[Hook.parse(store["settings"]["hook"])] = work, store["settings"]
    return works


def _writers(
    source: Source, works: _Works, place: Path, rows: str, shards: range
) -> dict[Hook, ShardWriter]:
    """Open the stores; the first part to come makes them, one at a time."""
    writers = {}
    with locked(place / "parts.json"):
        for hook, (work, settings) in works.items():
            work.reopen()
            if work.finished:  # it had lost the row table, which is there again
                continue
            writers[hook] = source.writer(hook, work.path, settings, rows, shards)
    return writers
