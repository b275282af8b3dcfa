"""Text through the model, activations to disk: one forward pass for every wanted hook.

Sequences go through the model in batches that follow from the token store alone, so that a
hook's values depend neither on the hooks taken with it nor on where a killed run is resumed.
Read `harvest` first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from saeflow import device
from saeflow.activations.compatible import check_compatible
from saeflow.activations.layout import plan_layout
from saeflow.activations.rows import rows_identity, write_rows
from saeflow.activations.values import TORCH, to_storage
from saeflow.activations.writer import ShardWriter
from saeflow.files import read_json
from saeflow.interrupt import Stop, interruptible
from saeflow.logs import Progress
from saeflow.models.hooks import Hook, check_hooks
from saeflow.models.load import load_model
from saeflow.models.slices import run_until
from saeflow.tokens.flags import excluded
from saeflow.tokens.store import TokenStore, open_tokens
from saeflow.work import Work, hold

logger = logging.getLogger(__name__)

# Sequences of unlike lengths are sorted within so many batches' worth, to pad little.
_WINDOW_BATCHES = 4


class _Window(NamedTuple):
    """Consecutive sequences, and how they are put into batches.

    Attributes
    ----------
    start, end : int
        Their rows.
    batches : list of ndarray
        Sequence numbers of each batch; together all of the window, once.
    """

    start: int
    end: int
    batches: list[np.ndarray]


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
        for window in _windows(tokens, batch_tokens):
            wanting = {h: w for h, w in writers.items() if w.wants(window.start, window.end)}
            if not wanting:
                continue
            dtypes = {hook: writer.layout.dtype for hook, writer in wanting.items()}
            found = _activations(model, dtypes, tokens, window)
            left_out = excluded(tokens.columns.read("flags", window.start, window.end))
            for hook, writer in wanting.items():
                writer.append(window.start, to_storage(found.pop(hook), dtypes[hook]), left_out)
            bar.update(window.end - window.start)
            stop.check()


def _windows(tokens: TokenStore, batch_tokens: int) -> Iterator[_Window]:
    """Yield the batches of the whole store; they depend on nothing but it and ``batch_tokens``."""
    offsets = tokens.sequence_offsets
    lengths = np.diff(offsets)
    n = max(1, batch_tokens // int(lengths.max()))
    step = n if (lengths == lengths[0]).all() else n * _WINDOW_BATCHES
    for first in range(0, len(lengths), step):
        end = min(first + step, len(lengths))
        order = first + np.argsort(-lengths[first:end], kind="stable")
        batches = []
        while len(order):
            size = max(1, batch_tokens // int(lengths[order[0]]))
            batches.append(order[:size])
            order = order[size:]
        yield _Window(int(offsets[first]), int(offsets[end]), batches)


def _activations(
    model: torch.nn.Module, dtypes: Mapping[Hook, str], tokens: TokenStore, window: _Window
) -> dict[Hook, torch.Tensor]:
    """Return the window's rows (n, d) at each hook, in the dtype of its store."""
    token_id = tokens.columns.read("token_id", window.start, window.end).astype(np.int64)
    target = device.pick()
    found: dict[Hook, torch.Tensor] = {}
    for batch in window.batches:
        starts = tokens.sequence_offsets[batch] - window.start
        lengths = tokens.sequence_offsets[batch + 1] - window.start - starts
        ids, rows = _padded(token_id, starts, lengths)
        captured = run_until(model, ids.to(target), None, list(dtypes))
        for hook, x in captured.items():
            x = x.reshape(-1, x.shape[-1]).to(TORCH[dtypes[hook]])
            if len(window.batches) == 1 and len(x) == len(token_id):
                found[hook] = x.cpu()
                continue
            if hook not in found:
                found[hook] = torch.empty(len(token_id), x.shape[1], dtype=x.dtype)
            is_token = rows >= 0
            found[hook][rows[is_token]] = x[is_token.to(x.device)].cpu()
    return found


def _padded(
    token_id: np.ndarray, starts: np.ndarray, lengths: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences padded on the right, and the row of each of their tokens.

    Returns
    -------
    tuple of Tensor
        ids (batch, longest) int64, and rows (batch * longest,) int64 with -1 at the padding.

    Notes
    -----
    The model is causal: what stands right of a token cannot change its activation, so that no
    attention mask is needed, and the same kernel serves every batch.
    """
    within = np.arange(lengths.max())
    rows = np.where(within < lengths[:, None], starts[:, None] + within, -1)
    ids = np.where(rows >= 0, token_id[rows], 0)
    return torch.from_numpy(ids), torch.from_numpy(rows.ravel())
