"""What random errors of the size of an SAE's do to the model's predictions, beside the SAE itself.

An SAE's error e = x_hat - x is held against two random ones on each token (Gurnee 2024, "SAE
reconstruction errors are (empirically) pathological"):

    norm      x + |e| v
    cosine    x' with |x'| = |x_hat| and cos(x, x') = cos(x, x_hat), what is left of it along the
              part of v at right angles to x; so |x' - x| = |e| too

v is a random unit vector, another on each token, and the same for every SAE. Rows and predictions
are those of `saeflow.measures.exchange`, of the first sequences of the test split. Zero and mean
ablation stand beside them. `measure_controls` is the job, `controlled` the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.linalg import vector_norm

from saeflow.errors import SaeflowError
from saeflow.logs import progress
from saeflow.measures.encoders import (
    Coder,
    Encoders,
    finish_each,
    load_at_hook,
    measure_each_hook,
)
from saeflow.measures.exchange import (
    Exchange,
    Stored,
    exchanges,
    no_numbers,
    stored,
)
from saeflow.measures.language import write
from saeflow.measures.losses import Losses, open_losses
from saeflow.measures.sums import DocumentSums
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.task import Task
from saeflow.tokens.sequences import BATCH_TOKENS, Batch, Sequences

_SMALLEST = 1e-30


def measure_controls(tasks: Sequence[Task]) -> None:
    """Measure SAEs of one model beside their controls, hook by hook, and finish their tasks.

    Settings ``tokens``, how many of the split are enough, and ``seed`` of the random errors; inputs
    as of `saeflow.measures.language.measure_language`. Works get ``documents.parquet``.
    """
    measure_each_hook(tasks, _measure)


def _measure(tasks: Sequence[Task]) -> None:
    inputs, settings = tasks[0].inputs, tasks[0].settings
    if (at := load_at_hook(tasks)) is None:
        return
    tokens, clean = open_losses(inputs)
    stores = stored(inputs["tokens"], *at.stores)
    some, seed = tokens.first(settings["tokens"]), settings["seed"]
    found = controlled(at.patched, at.saes, some, clean, stores, seed=seed)
    finish_each(at.tasks, found, write)


@torch.no_grad()
def controlled(
    patched: PatchedModel,
    coders: Sequence[Coder],
    tokens: Sequences,
    clean: Losses,
    stores: Mapping[Hook, Stored] = {},
    *,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
) -> list[dict[str, np.ndarray] | SaeflowError]:
    """Measure SAEs beside random errors and ablations, in one pass over the tokens.

    Parameters and result are as of `saeflow.measures.language.predictions`, with the sums of
    `saeflow.metrics.controls`; ``clean`` may have the losses of more tokens. ``seed`` is of the
    random errors: a token's is a function of it, of the number of the token's sequence and of its
    place there.
    """
    encoders, sums = Encoders(coders), DocumentSums(tokens.documents[tokens.scored])
    batches = exchanges(patched, tokens, stores, batch_tokens=batch_tokens)
    for part in progress(batches, desc="controls", unit="batches"):
        scored = part.tokens.scored
        kept = clean.at(scored)
        ce_clean, found = part.compare(_states(part, encoders, seed))
        ablated = {name: kept[name] for name in ("ce_zero", "ce_mean")}
        shared = {"predictions": np.ones(len(scored)), "ce_clean": ce_clean, **ablated}
        documents = tokens.documents[scored]
        sums.add(documents, shared)
        for (place, name), (ce, kl) in found.items():
            if not (np.isfinite(ce).all() and np.isfinite(kl).all()):
                encoders.errors[place] = no_numbers(patched.hook)
            sums.add(documents, {f"ce_{name}": ce, f"kl_{name}": kl}, of=place)
    return encoders.results(sums.columns)


def _states(part: Exchange, encoders: Encoders, seed: int) -> dict[tuple[int, str], torch.Tensor]:
    """Return the states of a batch with each SAE, and with its random errors."""
    states, x = {}, part.own
    v = directions(part.tokens.batch, x.shape[1], seed).to(x)
    for place, _, x_hat in encoders.run(part.x):
        states[place, "sae"] = part.states_with(x_hat)
        states[place, "norm"] = part.states_with(of_equal_norm(x, x_hat, v))
        states[place, "cosine"] = part.states_with(of_equal_cosine(x, x_hat, v))
    return states


def directions(batch: Batch, d: int, seed: int) -> torch.Tensor:
    """Return a random unit vector for each ordinary token of a batch, (n_ordinary, d) float32.

    Each sequence has a counter-based generator of its own, so that no vector depends on what else
    is in the batch, or on the device.
    """
    ordinary = batch.ordinary.cpu().numpy()
    shape = (ordinary.shape[1], d)
    drawn = [
        np.random.Generator(np.random.Philox(key=[seed, number])).standard_normal(
            shape, dtype=np.float32
        )[of_sequence]
        for number, of_sequence in zip(batch.numbers, ordinary, strict=True)
    ]
    return _unit(torch.from_numpy(np.concatenate(drawn)))


def of_equal_norm(x: torch.Tensor, x_hat: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return x with an error along unit vectors v, of the norm of x_hat - x; all (n, d)."""
    return x + vector_norm(x_hat - x, dim=-1, keepdim=True) * v


def of_equal_cosine(x: torch.Tensor, x_hat: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return what has the norm of x_hat, and its cosine with x; all (n, d).

    It has the part of x_hat along x. The part at right angles has the same norm, and the direction
    of that of v.
    """
    unit = _unit(x)
    along = (x_hat * unit).sum(-1, keepdim=True) * unit
    across = _unit(v - (v * unit).sum(-1, keepdim=True) * unit)
    return along + vector_norm(x_hat - along, dim=-1, keepdim=True) * across


def _unit(x: torch.Tensor) -> torch.Tensor:
    return x / vector_norm(x, dim=-1, keepdim=True).clamp(min=_SMALLEST)
