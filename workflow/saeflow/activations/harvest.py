"""Text through the model, activations to disk: one forward pass for every wanted hook.

Sequences go through the model in batches that follow from the token store alone, so that a
hook's values depend neither on the hooks taken with it nor on where a killed run is resumed.
Read `harvest`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.activations.fill import fill
from saeflow.activations.layout import Layout, plan_layout, shards_of
from saeflow.activations.room import check_room
from saeflow.activations.rows import rows_identity, write_rows
from saeflow.activations.writer import ShardWriter
from saeflow.errors import BusyError, ModelError
from saeflow.files import read_json
from saeflow.interrupt import interruptible
from saeflow.locks import locked
from saeflow.models.hooks import Hook
from saeflow.models.load import load_model
from saeflow.task import Task
from saeflow.tokens.store import TokenStore, open_tokens
from saeflow.work import hold

_OF_MODEL = ("name", "architecture", "weights_sha256", "source")


def harvest(tasks: Sequence[Task], part: tuple[int, int] | None = None) -> None:
    """Store the activations of several hooks of one model over one token store.

    A hook that the model lacks, or whose values do not fit the dtype, leaves the others alone.

    Parameters
    ----------
    tasks
        One for each hook. Settings: ``hook``, ``dtype``, ``batch_tokens`` and optionally
        ``shard_rows`` and ``live``. Inputs: ``model`` and ``tokens``. Finished ones are left
        alone.
    part
        (i, n): compute what is missing of the i-th (from 1) of n parts, and finish nothing. A part
        is a range of shards, the same ones in every store. Parts may run at the same time, in
        processes that share the works; a call without a part completes the stores after them.

    Notes
    -----
    A model that was made for another tokenizer, for shorter sequences or a smaller vocabulary is a
    `ModelError`, a token store that is not what was written a `DamagedError`. Killed at any point,
    the next call continues at the first shard that is not committed, and ends with the same bytes.
    """
    tasks = [task for task in tasks if not task.finished]
    if not tasks:
        return
    inputs, place = tasks[0].inputs, tasks[0].output.parent
    source = Source(inputs["model"], inputs["tokens"])
    with source.rows(place) as rows, ExitStack() as stack:
        wanted = {}
        for task in tasks:
            if not task.finished:
                wanted[Hook.parse(task.settings["hook"])] = task
            elif part is None:  # it had lost nothing but the row table, which is there again
                task.work.publish()
        if any(task.settings.get("live") for task in wanted.values()):
            # No rows: see `saeflow.registry`.
            registry.load("activations", "calibration").describe(wanted, source, rows)
            return
        # The first part to come makes the stores.
        writers: dict[Hook, ShardWriter] = {}
        with locked(place / "parts.json") if part else nullcontext():
            for hook, task in wanted.items():
                with task.attempt():
                    task.work.reopen()
                    writers[hook] = source.writer(hook, task, rows, part)
                    stack.callback(writers[hook].close)
        source.compute(writers, wanted)
        for hook, writer in writers.items() if part is None else ():
            if wanted[hook].error is None:
                with wanted[hook].attempt():
                    facts = {"hook": str(hook), **source.attributes(rows), **writer.finalise()}
                    wanted[hook].work.finish(facts, known=writer.hashes, needs=[rows])


class Source:
    """A model and the ``tokens`` that it reads, an open store, and how activations are stored.

    The ``records`` of both are called "model" and "tokens".
    """

    def __init__(self, model_record: Path, tokens_record: Path) -> None:
        self.tokens: TokenStore = open_tokens(tokens_record)
        self.records = {"model": Path(model_record), "tokens": Path(tokens_record)}
        self._model = read_json(model_record)
        _check_compatible(self._model, self.tokens.record, model_record)

    def layout(self, settings: Mapping[str, Any]) -> Layout:
        """Return the layout of a hook's store."""
        shape = self.tokens.n_tokens, self._model["d_model"]
        return plan_layout(*shape, settings["dtype"], settings.get("shard_rows"))

    def writer(
        self, hook: Hook, task: Task, rows: str, part: tuple[int, int] | None
    ) -> ShardWriter:
        """Return the writer of a hook's store, for all its shards or those of a part."""
        layout = self.layout(task.settings)
        about = {"hook": str(hook), **self.attributes(rows)}
        shards = None if part is None else shards_of(*part, layout.n_shards)
        return ShardWriter(task.work.path, layout, str(hook), about, shards)

    def compute(self, writers: Mapping[Hook, ShardWriter], tasks: Mapping[Hook, Task]) -> None:
        """Compute what the writers miss; the model is loaded only if they miss something."""
        if any(writer.missing for writer in writers.values()):
            check_room(writers.values())
            with interruptible() as stop:
                fill(writers, tasks, load_model(self.records["model"]), self.tokens, stop)

    @contextmanager
    def rows(self, place: Path) -> Iterator[str]:
        """Hold the row table that the hooks of ``place`` share, made if need be; give its name.

        It is held together with others that read it: no part of a harvest waits for another.
        """
        held = place / "rows.json", rows_identity(self.tokens.record["identity"]), ".zarr"
        while True:
            with hold(*held, shared=True) as rows:
                if rows.finished:
                    yield rows.final.name
                    return
            # Not waiting: one that made it meanwhile holds it with others until its harvest ends.
            with suppress(BusyError), hold(*held, wait_s=0) as rows:
                if not rows.finished:
                    write_rows(rows, self.tokens)

    def attributes(self, rows: str) -> dict[str, Any]:
        """Return where activations come from; nothing that differs between machines."""
        return {
            "rows": rows,
            "model": {n: self._model[n] for n in _OF_MODEL if n in self._model},
            "tokenizer": self.tokens.record["tokenizer"]["vocabulary_sha256"],
            "tokens": self.tokens.record["identity"],
            "context_length": self.tokens.record["context_length"],
            "token_ranges": self.tokens.record["token_ranges"],
            "sequence_ranges": self.tokens.record["sequence_ranges"],
        }


def _check_compatible(model: Mapping[str, Any], tokens: Mapping[str, Any], where: Path) -> None:
    """Raise a `ModelError` where a model would read tokens that mean something else to it.

    The vocabularies are compared by content: the same one under another name is accepted.
    """
    own_tokenizer = "Remove `tokenizer` from the model's entry: its own then cuts the texts."
    vocabulary = tokens["tokenizer"]["vocabulary_sha256"]
    if model["tokenizer"] not in (None, vocabulary):
        raise ModelError(
            "the tokens were made with another tokenizer than the model's",
            where=where,
            expected=f"vocabulary {model['tokenizer']}",
            got=f"vocabulary {vocabulary}",
            remedy=own_tokenizer,
        )
    if tokens["max_token_id"] >= model["vocab_size"]:
        raise ModelError(
            "a token id is outside the model's vocabulary",
            where=where,
            expected=f"ids below {model['vocab_size']}",
            got=tokens["max_token_id"],
            remedy=own_tokenizer,
        )
    longest = model["max_positions"]
    if longest is not None and tokens["context_length"] > longest:
        raise ModelError(
            "the sequences are longer than the model's context",
            where=where,
            expected=f"at most {longest} tokens",
            got=tokens["context_length"],
            remedy="Lower the packing's context_length.",
        )
