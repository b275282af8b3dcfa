"""Text through the model, activations to disk: one forward pass for every wanted hook.

Sequences go through the model in batches that follow from the token store alone, so that a
hook's values depend neither on the hooks taken with it nor on where a killed run is resumed.
Read `harvest` first.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from saeflow.activations.compatible import check_compatible
from saeflow.activations.forward import compute, windows
from saeflow.activations.layout import plan_layout
from saeflow.activations.rows import rows_identity, write_rows
from saeflow.activations.values import to_storage
from saeflow.activations.writer import ShardWriter
from saeflow.files import read_json
from saeflow.interrupt import Stop, interruptible
from saeflow.logs import Progress
from saeflow.models.hooks import Hook, check_hooks
from saeflow.models.load import load_model
from saeflow.tokens.flags import excluded
from saeflow.tokens.store import TokenStore, open_tokens
from saeflow.work import Work, hold

logger = logging.getLogger(__name__)


def harvest(
    tasks: Sequence[tuple[Work, Mapping[str, Any], Any]], model_record: Path, tokens_record: Path
) -> None:
    """Store the activations of several hooks of one model over one token store.

    Parameters
    ----------
    tasks
        For each hook its held work and its settings: ``hook``, ``dtype``, ``batch_tokens`` and
        optionally ``shard_rows``. Finished works are left alone. (A third item, the inputs of
        `saeflow.script.Task`, is not read.)
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
    tokens, model_facts = open_tokens(tokens_record), read_json(model_record)
    check_compatible(model_facts, tokens.record, model_record)
    place = next(iter(wanted.values()))[0].output.parent
    with ExitStack() as stack:
        rows = _rows(place, tokens, stack)
        attributes = _attributes(model_facts, tokens, rows)
        writers = {}
        for hook, (work, settings) in wanted.items():
            layout = plan_layout(
                tokens.n_tokens,
                model_facts["d_model"],
                settings["dtype"],
                settings.get("shard_rows"),
            )
            own = {"hook": str(hook), **attributes}
            writers[hook] = ShardWriter(work.path, layout, str(hook), own)
            stack.callback(writers[hook].close)
        if any(writer.missing for writer in writers.values()):
            batch_tokens = next(iter(wanted.values()))[1]["batch_tokens"]
            with interruptible() as stop:
                _fill(writers, model_record, tokens, batch_tokens, stop)
        for hook, (work, _) in wanted.items():
            work.finish({"hook": str(hook), **attributes, **writers[hook].finalise()})


def _rows(place: Path, tokens: TokenStore, stack: ExitStack) -> str:
    """Make the row table that the hooks of a place share; return its directory's name."""
    identity = rows_identity(tokens.record["identity"])
    rows = stack.enter_context(hold(place / "rows.json", identity, ".zarr"))
    if not rows.finished:
        write_rows(rows, tokens)
    return rows.final.name


def _attributes(model_facts: Mapping[str, Any], tokens: TokenStore, rows: str) -> dict[str, Any]:
    """Return where activations come from; nothing that differs between machines."""
    return {
        "rows": rows,
        "model": {name: model_facts[name] for name in ("name", "architecture", "weights_sha256")},
        "tokenizer": tokens.record["tokenizer"]["vocabulary_sha256"],
        "tokens": tokens.record["identity"],
        "context_length": tokens.record["context_length"],
        "token_ranges": tokens.record["token_ranges"],
        "sequence_ranges": tokens.record["sequence_ranges"],
    }


def _fill(
    writers: Mapping[Hook, ShardWriter],
    model_record: Path,
    tokens: TokenStore,
    batch_tokens: int,
    stop: Stop,
) -> None:
    """Compute and write every missing shard."""
    model = load_model(model_record)
    check_hooks(model, list(writers))
    done = tokens.n_tokens - max(w.n_missing_rows for w in writers.values())
    with Progress(tokens.n_tokens, desc="harvest", unit="tokens", done=done) as bar:
        for window in windows(tokens, batch_tokens):
            wanting = {h: w for h, w in writers.items() if w.wants(window.start, window.end)}
            if not wanting:
                continue
            dtypes = {hook: writer.layout.dtype for hook, writer in wanting.items()}
            found = compute(model, dtypes, tokens, window)
            left_out = excluded(tokens.columns.read("flags", window.start, window.end))
            for hook, writer in wanting.items():
                writer.append(window.start, to_storage(found.pop(hook), dtypes[hook]), left_out)
            bar.update(window.end - window.start)
            stop.check()
