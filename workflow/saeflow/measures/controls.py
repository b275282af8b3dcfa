"""What random errors of the size of an SAE's do to the model's predictions, beside the SAE itself.

An SAE's error e = x_hat - x is held against two random ones on each token (Gurnee 2024, "SAE
reconstruction errors are (empirically) pathological"):

    norm      x + |e| v
    cosine    x' with |x'| = |x_hat| and cos(x, x') = cos(x, x_hat), what is left of it along the
              part of v at right angles to x; so |x' - x| = |e| too

v is a random unit vector, another on each token, and the same for every SAE. Rows and predictions
are those of `saeflow.measures.language`, of the first sequences of the test split. Zero and mean
ablation are measured beside them. `measure_controls` is the job, `controlled` the measurement.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.linalg import vector_norm

from saeflow import device
from saeflow.errors import SaeflowError
from saeflow.files import read_json
from saeflow.logs import progress
from saeflow.measures.encoders import Coder, Encoders, finish_each, load_saes
from saeflow.measures.language import compare, rows_of, scored_documents, write
from saeflow.measures.reconstruction import SPLIT, evaluated, mean_activation
from saeflow.measures.sums import DocumentSums
from saeflow.models.hooks import Hook
from saeflow.models.loss import scored_tokens
from saeflow.models.patched import PatchedModel
from saeflow.task import Task
from saeflow.tokens.sequences import BATCH_TOKENS, Batch, Sequences, sequences_of
from saeflow.tokens.store import open_tokens

_SMALLEST = 1e-30


def measure_controls(tasks: Sequence[Task]) -> None:
    """Measure SAEs of one hook beside their controls and finish their tasks.

    Parameters
    ----------
    tasks
        Of one pass. Settings ``tokens``, how many of the split are enough, and ``seed`` of the
        random errors; inputs as of `saeflow.measures.language.measure_language`. Works get
        ``documents.parquet``.
    """
    from saeflow.models.load import load_model_once

    inputs, settings, machine = tasks[0].inputs, tasks[0].settings, device.pick()
    read = inputs["activations"]
    exchanged = inputs.get("target", read)
    hook, reads = (Hook.parse(read_json(record)["hook"]) for record in (exchanged, read))
    mean = torch.from_numpy(mean_activation(evaluated(exchanged))).float().to(machine)
    tasks, saes = load_saes(tasks, machine)
    if not tasks:
        return
    patched = PatchedModel(load_model_once(inputs["model"], machine), hook, reads)
    tokens = sequences_of(open_tokens(inputs["tokens"]), SPLIT).first(settings["tokens"])
    found = controlled(patched, saes, tokens, mean, seed=settings["seed"])
    finish_each(tasks, found, write)


@torch.no_grad()
def controlled(
    patched: PatchedModel,
    coders: Sequence[Coder],
    tokens: Sequences,
    mean: torch.Tensor,
    *,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
) -> list[dict[str, np.ndarray] | SaeflowError]:
    """Measure SAEs beside random errors and ablations, in one pass over the tokens.

    Parameters
    ----------
    patched
        The model, on the device of ``coders``.
    coders
        SAEs.
    tokens
        What to predict.
    mean : Tensor (d_in,) float32
        What mean ablation puts in the place of activations.
    seed
        Of the random errors. A token's is a function of it, of the number of the token's sequence
        and of its place there.
    batch_tokens
        Tokens in a forward pass; changes nothing but rounding.

    Returns
    -------
    list
        For each SAE ``document`` and the sums of `saeflow.metrics.controls`, (n_documents,); or
        why it failed.
    """
    encoders, sums = Encoders(coders), DocumentSums(scored_documents(tokens))
    for batch in progress(tokens.batches(batch_tokens), desc="controls", unit="batches"):
        batch = batch.to(mean.device)
        scored = scored_tokens(batch.real, ~batch.ordinary)
        documents = batch.documents[scored.cpu().numpy()]
        for place, losses in _losses(patched, encoders, batch, scored, mean, seed).items():
            sums.add(documents, losses, of=place)
    return encoders.results(sums.columns)


def _losses(
    patched: PatchedModel,
    encoders: Encoders,
    batch: Batch,
    scored: torch.Tensor,
    mean: torch.Tensor,
    seed: int,
) -> dict[int | None, dict[str, np.ndarray]]:
    """Return what is summed of one batch, (n_scored,): by SAE, and what all share by None."""
    clean = patched.clean(batch.input_ids)
    replaced, before = rows_of(batch, scored)
    flat = clean.x.flatten(0, 1)

    def states_with(value: torch.Tensor) -> torch.Tensor:
        """Return the states that predict scored tokens, with ``value`` in the ordinary rows."""
        x = flat.index_copy(0, replaced, value).view_as(clean.x)
        states = patched.states(x, clean, batch.input_ids)
        return states.flatten(0, 1).index_select(0, before)

    x = flat.index_select(0, replaced)
    states = {
        (None, "zero"): states_with(torch.zeros_like(x)),
        (None, "mean"): states_with(mean.expand_as(x)),
    }
    v = directions(batch, x.shape[1], seed).to(x)
    for place, _, x_hat in encoders.run(clean.read.flatten(0, 1).index_select(0, replaced)):
        states[place, "sae"] = states_with(x_hat)
        states[place, "norm"] = states_with(of_equal_norm(x, x_hat, v))
        states[place, "cosine"] = states_with(of_equal_cosine(x, x_hat, v))
    clean_states = clean.states.flatten(0, 1).index_select(0, before)
    ce_clean, found = compare(patched.head, clean_states, states, batch.input_ids[scored])
    losses: dict[int | None, dict[str, np.ndarray]] = {
        None: {"predictions": np.ones(len(ce_clean)), "ce_clean": ce_clean}
    }
    for (place, name), (ce, kl) in found.items():
        own = losses.setdefault(place, {})
        own |= {f"ce_{name}": ce} if place is None else {f"ce_{name}": ce, f"kl_{name}": kl}
    return losses


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
