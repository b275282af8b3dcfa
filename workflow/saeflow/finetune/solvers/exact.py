"""The closed form: one pass over the store adds up sums, from which each method's weights follow.

The ridge that holds the solution near its parent is chosen on the validation documents. Read
`run`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saeflow import registry
from saeflow.activations.excerpts import batches_in_order, ordinary_rows
from saeflow.activations.reader import Store, open_store
from saeflow.device import pick
from saeflow.errors import ConfigError, DataError, SaeflowError
from saeflow.finetune.closed_form import METHODS, Decoder, choose_ridge, solve
from saeflow.finetune.normal import NormalEquations
from saeflow.finetune.tune import METHODS as METHODS_PACKAGE
from saeflow.finetune.tune import tuned_header, with_own_input_bias
from saeflow.interrupt import Stop, interruptible
from saeflow.logs import Progress
from saeflow.sae.model import SAE
from saeflow.sae.saved.fits import load_fitting, require_plain_input
from saeflow.sae.saved.save import header_of, save
from saeflow.sae.settings import build, not_negative, positive
from saeflow.sae.training import checkpoint
from saeflow.sae.training.rows import kept_rows
from saeflow.sae.training.sweep import activations_header
from saeflow.tokens.flags import excluded
from saeflow.work import Work

logger = logging.getLogger(__name__)

# A constant: in which order numbers are added moves their last bits.
_BATCH_ROWS = 4096
_EVIDENCE_ROWS = 1024
# Ridges that are tried, in activations: from what decides only where the data do not, to one that
# leaves little to the data.
STRENGTHS = (1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5)


@dataclass(frozen=True, kw_only=True)
class ExactSettings:
    """How one SAE is fine-tuned in closed form.

    Attributes
    ----------
    solver : str
        "exact".
    method : str
        scale, unrotated_decoder or decoder.
    tokens : int | None
        Activations to fit, from the beginning of the training split; None for all.
    ridge : float | None
        How many activations the parent's value is worth; None to choose it on the validation
        documents.
    """

    solver: str
    method: str
    tokens: int | None = None
    ridge: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if self.method not in METHODS:
            raise ConfigError(
                "this method has no closed form", expected=" | ".join(METHODS), got=self.method
            )
        if self.tokens is not None:
            positive("tokens", self.tokens)
        if self.ridge is not None:
            not_negative("ridge", self.ridge)


class _Parent:
    """One SAE, the sums over its codes, and the works that are solved from them."""

    def __init__(
        self, record: Path, tokens: int | None, activations: Path, device: torch.device
    ) -> None:
        self.record, self.tokens = record, tokens
        self.sae = load_fitting(record, activations).to(device)
        require_plain_input(self.sae, where=record)
        self.works: list[tuple[Work, ExactSettings, Mapping[str, Any]]] = []

    @property
    def place(self) -> Path:
        """Where the sums are kept while they grow."""
        return self.works[0][0].path

    def new_sums(self) -> NormalEquations:
        return NormalEquations(self.sae.d_sae, self.sae.W_dec.shape[1])


def run(
    works: Sequence[tuple[Work, Mapping[str, Any], Path]],
    activations_record: Path,
    *,
    checkpoint_s: float,
) -> None:
    """Fine-tune an SAE for each unfinished work; see `saeflow.finetune.sweep.finetune_sweep`."""
    parents = _parents(works, activations_record)
    with open_store(activations_record) as store, interruptible() as stop:
        for parent in parents.values():
            sums = _add_up(parent, store, "train", parent.tokens, checkpoint_s, stop)
            needed = any(settings.ridge is None for _, settings, _ in parent.works)
            validation = None
            if needed:
                validation = _add_up(parent, store, "validation", None, checkpoint_s, stop)
            origin = activations_header(store.record)
            last = torch.from_numpy(kept_rows(store)[-_EVIDENCE_ROWS:])
            x = store.activations.tensor(last).to(parent.sae.W_enc)
            for work, settings, raw in parent.works:
                tuned = _solved(settings, raw, parent, origin, sums, validation)
                work.restart()
                save(tuned, work.path, x, rows="the last rows of the training split")
                work.finish(header_of(work.path))


def _parents(
    works: Sequence[tuple[Work, Mapping[str, Any], Path]], activations: Path
) -> dict[tuple, _Parent]:
    """Group the works by the sums that they need; leave out companions that cannot start."""
    found: dict[tuple, _Parent] = {}
    for index, (work, raw, record) in enumerate(works):
        try:
            settings = build(ExactSettings, raw, where=f"settings of {raw['method']}, exact")
            key = (record, settings.tokens)
            parent = found.get(key) or _Parent(*key, activations, pick())
        except SaeflowError as error:
            if index == 0:
                raise
            logger.error("%s is left to its own job: %s", work.output, error)
            continue
        found[key] = parent
        parent.works.append((work, settings, raw))
    return found


def _add_up(
    parent: _Parent,
    store: Store,
    split: str,
    tokens: int | None,
    checkpoint_s: float,
    stop: Stop,
) -> NormalEquations:
    """Return the sums over the first ``tokens`` rows of a split that are not excluded."""
    limit = _n_rows(store, split)
    if tokens is not None and tokens > limit:
        raise DataError(
            "the fit asks for more activations than there are",
            where=parent.record,
            expected=f"at most {limit:,} tokens",
            got=f"{tokens:,}",
            remedy="Lower its `tokens` or tokenise more of the dataset.",
        )
    tokens = limit if tokens is None else tokens
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


def _n_rows(store: Store, split: str) -> int:
    n = len(ordinary_rows(store, split))
    if not n:
        raise DataError(
            f"the {split} split has no token",
            where=store.path,
            remedy="Give the packing some (`tokens`, the dataset's `splits`)"
            + (", or set the method's `ridge`." if split == "validation" else "."),
        )
    return n


def _save(parent: _Parent, split: str, sums: NormalEquations, done: int) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in sums.arrays().items()}
    checkpoint.save(_directory(parent, split), tensors, {"done": done})


def _resumed(parent: _Parent, split: str) -> tuple[NormalEquations, int]:
    """Return the sums of an earlier run and the first row that they lack."""
    saved = checkpoint.load(_directory(parent, split))
    if saved is None:
        return parent.new_sums(), 0
    arrays = {name: tensor.numpy() for name, tensor in saved[0].items()}
    return NormalEquations.of(arrays), saved[1]["done"]


def _directory(parent: _Parent, split: str) -> Path:
    directory = parent.place / f"sums-{split}"
    directory.mkdir(exist_ok=True)
    return directory


def _solved(
    settings: ExactSettings,
    raw: Mapping[str, Any],
    parent: _Parent,
    origin: Mapping[str, Any],
    sums: NormalEquations,
    validation: NormalEquations | None,
) -> SAE:
    """Return the SAE that one method makes of its parent."""
    trainable = registry.load(METHODS_PACKAGE, settings.method).TRAINABLE
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
    header = tuned_header(parent.sae, parent.record, origin, raw, training=training)
    return SAE(sae.architecture, sae.settings, weights, header)
