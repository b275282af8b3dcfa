"""Small token stores, models and activation stores, written by the library's own writers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from saeflow.activations.harvest import harvest
from saeflow.activations.layout import plan_layout
from saeflow.activations.rows import rows_identity, write_rows
from saeflow.activations.values import to_storage
from saeflow.activations.writer import ShardWriter
from saeflow.files import sha256_text
from saeflow.models.record import describe_model
from saeflow.task import Task
from saeflow.tokens.columns import DTYPES, ColumnWriter
from saeflow.tokens.flags import excluded, flags_of
from saeflow.tokens.store import FORMAT, open_tokens
from saeflow.work import hold

VOCABULARY = "v" * 64
HARVEST = {"dtype": "float32", "batch_tokens": 100, "shard_rows": 256}
TOKENIZER = {
    "vocab_size": 61,
    "bos_id": 0,
    "eos_id": 1,
    "pad_id": 2,
    "special_ids": [0, 1, 2],
    "vocabulary_sha256": VOCABULARY,
}


SEQUENCES = {
    "ragged": {
        "train": [30, 5, 17, 32, 2, 9, 32, 21, 14, 28, 3, 32] * 8,
        "validation": [11, 7],
        "test": [32, 1, 8, 30, 30, 30, 30, 30, 9],
    },
    "equal": {"train": [32] * 40, "validation": [], "test": [32] * 4},
}
"""Lengths of sequences by split: of many lengths, and of one."""


def make_tokens(root: Path, lengths: dict[str, list[int]], seed: int = 0, **facts) -> Path:
    """Write random tokens in sequences of these lengths, each a document that begins with BOS."""
    record = root / "tokens.json"
    rng = np.random.default_rng(seed)
    every = [n for split in lengths.values() for n in split]
    token_id = rng.integers(3, TOKENIZER["vocab_size"], sum(every)).astype(np.uint32)
    offsets = np.concatenate([[0], np.cumsum(every)]).astype(np.int64)
    token_id[offsets[:-1]] = TOKENIZER["bos_id"]
    position = np.concatenate([np.arange(n) for n in every])
    special = {name: TOKENIZER[name] for name in ("bos_id", "eos_id", "special_ids")}
    ends = np.cumsum([0] + [len(split) for split in lengths.values()])
    borders = dict(zip(lengths, pairwise(ends.tolist()), strict=True))
    with hold(record, f"tokens of {root.name} {seed}", ".zarr") as work:
        writer = ColumnWriter(work.path, DTYPES, {"format": FORMAT})
        writer.append(
            token_id=token_id,
            document=np.repeat(np.arange(len(every)), every).astype(np.uint32),
            position=position.astype(np.uint16),
            document_position=np.maximum(position - 1, 0).astype(np.uint32),
            flags=flags_of(token_id, **special),
            sequence_offsets=offsets,
        )
        writer.close()
        work.finish(
            {
                "format": FORMAT,
                "context_length": max(every),
                "sequence_ranges": {s: list(ab) for s, ab in borders.items()},
                "token_ranges": {
                    s: [int(offsets[a]), int(offsets[b])] for s, (a, b) in borders.items()
                },
                "max_token_id": int(token_id.max()),
                "tokenizer": TOKENIZER,
                **facts,
            }
        )
    return record


def save_model(model: torch.nn.Module, record: Path, tokenizer: str | None = VOCABULARY) -> Path:
    """Save a model as a finished ``model.json`` with its directory."""
    with hold(record, "model") as work:
        model.save_pretrained(work.path)
        work.finish(describe_model(work.path, name=record.parent.name, tokenizer=tokenizer))
    return record


def harvest_hooks(
    place: Path, hooks: list[str], model: Path, tokens: Path, **options
) -> dict[str, Path]:
    """Harvest hooks as `harvest_tasks` does; return their records, or raise the first failure."""
    raise_failure(harvest_tasks(place, hooks, model, tokens, **options))
    return {hook: place / f"{hook}.json" for hook in hooks}


def harvest_tasks(
    place: Path,
    hooks: list[str],
    model: Path,
    tokens: Path,
    *,
    identity: Callable[[str], str] = "id of {}".format,
    part: tuple[int, int] | None = None,
    **settings,
) -> list[Task]:
    """Harvest hooks together, as the script does, and return their tasks."""
    inputs, tasks = {"model": model, "tokens": tokens}, []
    with ExitStack() as stack:
        for hook in hooks:
            record, own = place / f"{hook}.json", {**HARVEST, **settings, "hook": hook}
            held = hold(record, identity(hook), ".zarr", shared=part is not None)
            work = stack.enter_context(held)
            if work.finished:
                work.publish()
            tasks.append(Task(record, identity(hook), own, inputs, work=work))
        harvest(tasks, part)
    return tasks


def raise_failure(tasks: Iterable[Task]) -> None:
    """Raise the error of the first task that failed."""
    for task in tasks:
        if task.error is not None:
            raise task.error


def make_store(
    root: Path,
    x: torch.Tensor,
    lengths: dict[str, list[int]],
    *,
    dtype: str = "float32",
    shard_rows: int = 256,
    hook: str = "resid_post.0",
    **facts,
) -> Path:
    """Write rows ``x`` (n, d) as a finished store over `make_tokens` of these lengths.

    Stores of other hooks may follow in the same place; ``facts`` go into the record.
    """
    record = root / "tokens" / "tokens.json"
    tokens = open_tokens(record if record.exists() else make_tokens(root / "tokens", lengths))
    with hold(root / "rows.json", rows_identity(tokens.record["identity"]), ".zarr") as work:
        if not work.finished:
            write_rows(work, tokens)
        rows = work.final.name
    record = root / f"{hook}.json"
    layout = plan_layout(len(x), x.shape[1], dtype, shard_rows)
    with hold(record, sha256_text("store"), ".zarr") as work:
        writer = ShardWriter(work.path, layout, hook, {})
        writer.append(0, to_storage(x, dtype), excluded(tokens.flags))
        ranges = {name: tokens.record[name] for name in ("token_ranges", "sequence_ranges")}
        source = {"rows": rows, "tokens": tokens.record["identity"], **ranges}
        facts = {"hook": hook, **source, **writer.finalise(), **facts}
        work.finish(facts, known=writer.hashes, needs=[rows])
    return record
