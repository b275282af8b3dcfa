"""The closed form: one pass over the store adds up sums, from which each method's weights follow.

The ridge that holds the solution near its parent is chosen on the validation documents. Read
`run`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from saeflow.activations.excerpts import batches_in_order, ordinary_rows
from saeflow.activations.reader import Store, open_store
from saeflow.config.training import Exact
from saeflow.errors import DataError
from saeflow.finetune.closed_form import Decoder, choose_ridge, solve
from saeflow.finetune.methods import trainable as trainable_by
from saeflow.finetune.normal import NormalEquations, require_memory
from saeflow.finetune.tune import load_parent, tuned_header, with_own_input_bias
from saeflow.interrupt import Stop, interruptible
from saeflow.logs import Progress
from saeflow.metrics.intervals import FEW_DOCUMENTS
from saeflow.sae.model import SAE
from saeflow.sae.saved.save import header_of, save
from saeflow.sae.training import checkpoint
from saeflow.sae.training.rows import kept_rows
from saeflow.sae.training.sweep import activations_header
from saeflow.task import Task
from saeflow.tokens.flags import excluded

logger = logging.getLogger(__name__)

# A constant: in which order numbers are added moves their last bits.
_BATCH_ROWS = 4096
_EVIDENCE_ROWS = 1024
# Ridges that are tried, in activations: from what decides only where the data do not, to one that
# leaves little to the data.
STRENGTHS = (1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5)


class _Parent:
    """One SAE, the sums over its codes, and the tasks that are solved from them."""

    def __init__(self, record: Path, tokens: int | None, activations: Path) -> None:
        self.record, self.tokens = record, tokens
        self.sae = load_parent(record, activations)
        require_memory(self.sae.d_sae)
        self.tasks: list[tuple[Task, Exact]] = []

    @property
    def place(self) -> Path:
        """Where the sums are kept while they grow: with the task that is finished last."""
        return self.tasks[-1][0].work.path


def run(tasks: Sequence[Task], *, checkpoint_s: float) -> None:
    """Fine-tune the SAE of each task; see `saeflow.finetune.sweep.finetune_sweep`."""
    with open_store(tasks[0].inputs["activations"]) as store, interruptible() as stop:
        kept = kept_rows(store)
        validation_rows = ordinary_rows(store, "validation")
        n_rows = {"train": len(kept), "validation": len(validation_rows)}
        n_documents = len(np.unique(store.rows.document[validation_rows]))
        evidence = store.activations.tensor(torch.from_numpy(kept[-_EVIDENCE_ROWS:]))
        for parent in _parents(tasks, n_rows):
            n_train = parent.tokens or n_rows["train"]
            sums = _add_up(parent, store, "train", n_train, checkpoint_s, stop)
            validation = None
            if any(settings.ridge is None for _, settings in parent.tasks):
                n = n_rows["validation"]
                validation = _add_up(parent, store, "validation", n, checkpoint_s, stop)
                if n_documents < FEW_DOCUMENTS:
                    logger.warning(
                        "%s: its ridge is chosen on %d documents, too few to choose well; raise"
                        " tokens.validation of the packing, or set the method's `ridge`",
                        parent.record,
                        n_documents,
                    )
            for task, settings in parent.tasks:
                with task.attempt():
                    tuned = _solved(settings, task, parent, store, sums, validation, n_documents)
                    task.work.restart()
                    save(
                        tuned,
                        task.work.path,
                        evidence.to(tuned.W_enc),
                        rows="the last rows of the training split",
                    )
                    task.finish(header_of(task.work.path))


def _parents(tasks: Sequence[Task], n_rows: Mapping[str, int]) -> list[_Parent]:
    """Group the tasks by the sums that they need; those that cannot start fail."""
    found: dict[tuple, _Parent] = {}
    for task in tasks:
        with task.attempt():
            where = f"settings of {task.settings['method']}, exact"
            settings = Exact.read(task.settings, where=where)
            record = task.inputs["parent"]
            _require_rows(settings, n_rows, record)
            key = record, settings.tokens
            if key not in found:
                found[key] = _Parent(*key, task.inputs["activations"])
            found[key].tasks.append((task, settings))
    return list(found.values())


def _require_rows(settings: Exact, n_rows: Mapping[str, int], where: Path) -> None:
    if settings.tokens is not None and settings.tokens > n_rows["train"]:
        raise DataError(
            "the fit asks for more activations than there are",
            where=where,
            expected=f"at most {n_rows['train']:,} tokens",
            got=f"{settings.tokens:,}",
            remedy="Lower its `tokens`, or raise the packing's `tokens`.",
        )
    if settings.ridge is None and not n_rows["validation"]:
        raise DataError(
            "the validation split has no token",
            where=where,
            remedy="Give the packing some (`tokens`, the dataset's `splits`), or set the method's"
            " `ridge`.",
        )


def _add_up(
    parent: _Parent,
    store: Store,
    split: str,
    tokens: int,
    checkpoint_s: float,
    stop: Stop,
) -> NormalEquations:
    """Return the sums over the first ``tokens`` rows of a split that are not excluded."""
    sums, done = _resumed(parent, split)
    saved = time.monotonic()
    device = parent.sae.W_enc.device
    with Progress(tokens, desc=f"exact, {split}", unit="tokens", done=sums.n) as bar:
        for rows, x in batches_in_order(store, split, _BATCH_ROWS):
            if rows.start < done or sums.n == tokens:
                continue
            kept = np.flatnonzero(~excluded(store.rows.flags[rows]))[: tokens - sums.n]
            x = x[torch.from_numpy(kept)].to(device)
            if len(x):
                sums.add(parent.sae.encode_sparse(x), x)
            bar.update(len(x))
            if stop.requested or time.monotonic() - saved >= checkpoint_s:
                _save(parent, split, sums, rows.stop)
                saved = time.monotonic()
                stop.check()
    return sums


def _save(parent: _Parent, split: str, sums: NormalEquations, done: int) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in sums.arrays().items()}
    checkpoint.save(_directory(parent, split), tensors, {"done": done})


def _resumed(parent: _Parent, split: str) -> tuple[NormalEquations, int]:
    """Return the sums of an earlier run and the first row that they lack."""
    saved = checkpoint.load(_directory(parent, split))
    if saved is None:
        return NormalEquations(*parent.sae.W_dec.shape), 0
    arrays = {name: tensor.numpy() for name, tensor in saved[0].items()}
    return NormalEquations.of(arrays), saved[1]["done"]


def _directory(parent: _Parent, split: str) -> Path:
    directory = parent.place / f"sums-{split}"
    directory.mkdir(exist_ok=True)
    return directory


def _solved(
    settings: Exact,
    task: Task,
    parent: _Parent,
    store: Store,
    sums: NormalEquations,
    validation: NormalEquations | None,
    n_documents: int,
) -> SAE:
    """Return the SAE that one method makes of its parent."""
    trainable = trainable_by(settings.method)
    sae = with_own_input_bias(parent.sae) if "b_dec" in trainable else parent.sae
    start = Decoder(*(w.double().cpu().numpy() for w in (sae.W_dec, sae.b_dec)))
    ridge, errors = settings.ridge, {}
    if ridge is None:
        ridge, found, errors = choose_ridge(settings.method, sums, validation, start, STRENGTHS)
        name = f"{parent.record} > {settings.method}"
        logger.info("%s: ridge %g, validation error %.4g", name, ridge, errors[ridge])
        if ridge == STRENGTHS[0]:  # the other end says that the parent is as good
            logger.warning("%s: the best ridge, %g, is the weakest of those tried", name, ridge)
    else:
        found = solve(settings.method, sums, start, ridge)
    n_values = sums.n * len(start.b_dec)
    training = {
        "tokens": sums.n,
        "ridge": ridge,
        "n_validation_documents": n_documents if errors else None,
        "validation_mse": [{"ridge": tau, "mse": mse} for tau, mse in errors.items()],
        "final": {
            "mse": sums.squared_error(*found) / n_values,
            "mse_before": sums.squared_error(*start) / n_values,
        },
    }
    weights = {
        **sae.weights,
        "W_dec": torch.from_numpy(found.W_dec).to(sae.W_dec),
        "b_dec": torch.from_numpy(found.b_dec).to(sae.b_dec),
    }
    origin = activations_header(store.record)
    header = tuned_header(parent.sae, parent.record, origin, task.settings, training=training)
    return SAE(sae.architecture, sae.settings, weights, header)
