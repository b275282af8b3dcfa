"""Text through the model, activations to disk: one forward pass for every wanted hook.

Sequences go through the model in batches that follow from the token store alone, so that a
hook's values depend neither on the hooks taken with it nor on where a killed run is resumed.
Read `harvest` first; `saeflow.activations.parts` does a part of it in a job of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.activations.compatible import check_compatible
from saeflow.activations.fill import fill
from saeflow.activations.layout import Layout, plan_layout
from saeflow.activations.room import check_room
from saeflow.activations.rows import rows_identity, write_rows
from saeflow.activations.writer import ShardWriter
from saeflow.files import read_json
from saeflow.interrupt import interruptible
from saeflow.models.hooks import Hook
from saeflow.models.load import load_model
from saeflow.tokens.store import TokenStore, open_tokens
from saeflow.work import Work, hold

_OF_MODEL = ("name", "architecture", "weights_sha256", "source")


def harvest(
    tasks: Sequence[tuple[Work, Mapping[str, Any], Any]], model_record: Path, tokens_record: Path
) -> None:
    """Store the activations of several hooks of one model over one token store.

    Parameters
    ----------
    tasks
        For each hook its held work and its settings: ``hook``, ``dtype``, ``batch_tokens`` and
        optionally ``shard_rows`` and ``live``. Finished works are left alone. (A third item, the
        inputs of `saeflow.script.Task`, is not read.)
    model_record, tokens_record
        ``model.json`` and ``tokens.json``.

    Raises
    ------
    ModelError
        If the model was made for another tokenizer, for shorter sequences or a smaller
        vocabulary, or has no such hook.
    StoreError
        If a value does not fit the dtype.

    Notes
    -----
    Killed at any point, the next call continues at the first shard that is not committed, and
    ends with the same bytes.
    """
    wanted = {Hook.parse(settings["hook"]): (work, settings) for work, settings, *_ in tasks}
    wanted = {hook: item for hook, item in wanted.items() if not item[0].finished}
    if not wanted:
        return
    source = Source(model_record, tokens_record)
    place = next(iter(wanted.values()))[0].output.parent
    with source.rows(place) as rows, ExitStack() as stack:
        # Some may have lost nothing but the row table, which is there again.
        wanted = {hook: item for hook, item in wanted.items() if not item[0].finished}
        if any(settings.get("live") for _, settings in wanted.values()):
            # No rows: see `saeflow.registry`.
            registry.load("activations", "calibration").describe(wanted, source, rows)
            return
        writers = {}
        for hook, (work, settings) in wanted.items():
            work.reopen()
            writers[hook] = source.writer(hook, work.path, settings, rows)
            stack.callback(writers[hook].close)
        if writers:
            source.compute(writers, next(iter(wanted.values()))[1]["batch_tokens"])
        for hook, writer in writers.items():
            facts = writer.finalise()
            about = {"hook": str(hook), **source.attributes(rows)}
            wanted[hook][0].finish({**about, **facts}, known=writer.hashes, needs=[rows])


class Source:
    """A model and the tokens that it reads, and how their activations are stored.

    Parameters
    ----------
    model_record, tokens_record
        ``model.json`` and ``tokens.json``.

    Attributes
    ----------
    tokens : TokenStore
        The open token store.
    records : dict
        The two records, as ``model`` and ``tokens``.

    Raises
    ------
    ModelError
        If they do not belong together.
    """

    def __init__(self, model_record: Path, tokens_record: Path) -> None:
        self.tokens: TokenStore = open_tokens(tokens_record)
        self.records = {"model": Path(model_record), "tokens": Path(tokens_record)}
        self._model = read_json(model_record)
        check_compatible(self._model, self.tokens.record, model_record)

    def layout(self, settings: Mapping[str, Any]) -> Layout:
        """Return the layout of a hook's store."""
        return plan_layout(
            self.tokens.n_tokens,
            self._model["d_model"],
            settings["dtype"],
            settings.get("shard_rows"),
        )

    def writer(
        self,
        hook: Hook,
        path: Path,
        settings: Mapping[str, Any],
        rows: str,
        shards: range | None = None,
    ) -> ShardWriter:
        """Return the writer of a hook's store, for all its shards or some."""
        about = {"hook": str(hook), **self.attributes(rows)}
        return ShardWriter(path, self.layout(settings), str(hook), about, shards)

    def compute(self, writers: Mapping[Hook, ShardWriter], batch_tokens: int) -> None:
        """Compute what the writers miss; the model is loaded only if they miss something."""
        if any(writer.missing for writer in writers.values()):
            check_room(writers.values())
            with interruptible() as stop:
                fill(writers, load_model(self.records["model"]), self.tokens, batch_tokens, stop)

    @contextmanager
    def rows(self, place: Path, *, shared: bool = False) -> Iterator[str]:
        """Hold the row table that the hooks of a place share, made if need be; give its name.

        Parameters
        ----------
        place
            The directory of the hooks' records.
        shared
            Whether other processes may hold it at the same time.
        """
        held = place / "rows.json", rows_identity(self.tokens.record["identity"]), ".zarr"
        with hold(*held) as rows:
            if not rows.finished:
                write_rows(rows, self.tokens)
            if not shared:
                yield rows.final.name
                return
        with hold(*held, shared=True) as rows:
            yield rows.final.name

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
