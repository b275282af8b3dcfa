"""One pass of a model over labelled texts, for the states at many hooks.

Texts go through the model in batches of like length, padded on the right: in a causal model what
stands there changes nothing before it. The batches follow from the texts and ``batch_tokens``
alone, so that a hook's states depend neither on the hooks taken with it nor on where a killed run
is resumed. States are what blocks and their parts give (`saeflow.models.hooks`): those of the last
block are not normalised. Read `measure_states`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from saeflow import device
from saeflow.activations.forward import enough_memory
from saeflow.errors import ModelError
from saeflow.files import read_json
from saeflow.finite import require_finite
from saeflow.interrupt import Stop, interruptible
from saeflow.labelled.labelled import read_labelled
from saeflow.logs import Progress
from saeflow.measures.states import CONCEPT, LAST, ROWS
from saeflow.measures.states.files import StateWriter
from saeflow.measures.sums import write_table
from saeflow.measures.text_batches import Batch, batch_of, windows
from saeflow.measures.text_tokens import TextTokens, tokenize_labelled
from saeflow.models.hooks import Hook, check_hooks
from saeflow.models.slices import run_until
from saeflow.task import Task, attempting

logger = logging.getLogger(__name__)

READING = ("bos", "long", "batch_tokens")
"""The settings that say how texts are read, which are in the records."""


def measure_states(tasks: Sequence[Task]) -> None:
    """Compute the states at hooks of one model, and finish the tasks.

    Parameters
    ----------
    tasks
        Of one pass. Settings: ``hook``, ``pooling``, ``bos``, ``long`` and ``batch_tokens``.
        Inputs: ``labelled``, and ``model`` with its ``tokenizer``, which all share. Works get
        ``states.npy`` and ``rows.parquet``, see `saeflow.measures.states.States`.

    Notes
    -----
    Killed at any point, the next call continues at the first window that is not committed, and ends
    with the same bytes.
    """
    from saeflow.models.load import load_model_once, load_tokenizer

    inputs = tasks[0].inputs
    model = load_model_once(inputs["model"], device.pick())
    tokenizer = load_tokenizer(inputs["tokenizer"])
    most = read_json(inputs["model"])["max_positions"]
    by_texts: dict[Path, list[Task]] = {}
    for task in tasks:
        with task.attempt():
            check_hooks(model, [_hook(task)])
            by_texts.setdefault(Path(task.inputs["labelled"]), []).append(task)
    for record, own in by_texts.items():
        how = own[0].settings
        with attempting(own):
            labelled = read_labelled(record)
            tokens = tokenize_labelled(
                tokenizer, labelled, max_positions=most, bos=how["bos"], long=how["long"],
                where=record,
            )  # fmt: skip
            take_states(model, own, tokens)


def take_states(model: torch.nn.Module, tasks: Sequence[Task], tokens: TextTokens) -> None:
    """Run a model on texts, and finish the tasks of their hooks; one that fails is left out."""
    settings = tasks[0].settings
    kept = kept_tokens(tokens, settings["pooling"])
    writers = {_hook(task): (task, StateWriter(task.work.path, len(kept))) for task in tasks}
    with interruptible() as stop:
        _fill(model, writers, tokens, kept, settings["batch_tokens"], stop)
    for hook, (task, writer) in writers.items():
        if task.error is None:
            writer.close()
            write_table(task.work.path / ROWS, _rows(tokens, kept))
            task.finish({"hook": str(hook), "d_in": writer.d, **_facts(tokens, kept, settings)})


def kept_tokens(tokens: TextTokens, pooling: Sequence[str]) -> np.ndarray:
    """Return the numbers (n_rows,) of the tokens that some pooling reads, rising."""
    kept = np.zeros(len(tokens.ids), dtype=bool)
    kept[tokens.last] = True
    for how in pooling:
        if how != LAST:
            kept |= tokens.in_concept if how == CONCEPT else tokens.in_text
    return np.flatnonzero(kept)


def _hook(task: Task) -> Hook:
    return Hook.parse(task.settings["hook"])


@torch.no_grad()
def _fill(
    model: torch.nn.Module,
    writers: Mapping[Hook, tuple[Task, StateWriter]],
    tokens: TextTokens,
    kept: np.ndarray,
    batch_tokens: int,
    stop: Stop,
) -> None:
    """Compute and write the windows that some hook lacks."""
    missing, done = [], 0
    for window in windows(tokens, batch_tokens):
        end = int(np.searchsorted(kept, window.end))
        if any(writer.n_done < end for _, writer in writers.values()):
            missing.append((window, end))
        else:
            done = window.end
    if done:
        logger.info("%s tokens were read by an earlier run", f"{done:,}")
    with Progress(len(tokens.ids), desc="states", unit="tokens", done=done) as bar:
        for window, end in missing:
            wanting = {
                hook: (task, writer)
                for hook, (task, writer) in writers.items()
                if task.error is None and writer.n_done < end
            }
            for texts in window.batches if wanting else ():
                batch = batch_of(tokens, texts)
                place = partial(_place, wanting, *_rows_of(batch, kept))
                ids = batch.ids.to(model.device)
                with enough_memory(ids, "measures > states > batch_tokens"):
                    run_until(model, ids, None, list(wanting), place)
                bar.update(batch.n_tokens)
            for task, writer in wanting.values():
                if task.error is None:
                    writer.commit(end)
            stop.check()


def _rows_of(batch: Batch, kept: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """Return the places in a batch of the tokens that are kept, and the rows that they become."""
    rows = np.searchsorted(kept, batch.tokens)
    rows = np.where(rows < len(kept), rows, 0)
    places = np.flatnonzero(kept[rows] == batch.tokens)
    return torch.from_numpy(places), rows[places]


def _place(
    writers: Mapping[Hook, tuple[Task, StateWriter]],
    places: torch.Tensor,
    rows: np.ndarray,
    hook: Hook,
    x: torch.Tensor,
) -> None:
    """Write what a hook (batch, seq, d) gives, as soon as it is there."""
    task, writer = writers[hook]
    if task.error is not None:
        return
    with task.attempt():
        flat = x.reshape(-1, x.shape[-1]).index_select(0, places.to(x.device)).float().cpu()
        require_finite(
            flat,
            "the model's state on a labelled text",
            where=str(hook),
            remedy="Leave this hook out of the study's `hooks`.",
            error=ModelError,
        )
        writer.write(rows, flat.numpy())


def _rows(tokens: TextTokens, kept: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of ``rows.parquet``."""
    texts = np.repeat(np.arange(len(tokens.lengths)), tokens.lengths)[kept]
    last = np.zeros(len(tokens.ids), dtype=bool)
    last[tokens.last] = True
    return {
        "example": texts,
        "position": kept - tokens.offsets[texts],
        "last": last[kept],
        "in_text": tokens.in_text[kept],
        "in_concept": tokens.in_concept[kept],
    }


def _facts(tokens: TextTokens, kept: np.ndarray, settings: Mapping[str, object]) -> dict:
    """Return what the records of all hooks say."""
    without = {
        name: int((np.add.reduceat(flags, tokens.offsets[:-1]) == 0).sum())
        for name, flags in (("text", tokens.in_text), ("concept", tokens.in_concept))
    }
    return {
        "n_examples": len(tokens.lengths),
        "n_documents": len(tokens.lengths),
        "n_rows": len(kept),
        "n_tokens": int(tokens.ordinary.sum()),
        "pooling": list(settings["pooling"]),
        "reading": {name: settings[name] for name in READING},
        **{f"n_without_{name}": n for name, n in without.items()},
        **tokens.facts,
    }
