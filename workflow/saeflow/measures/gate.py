"""Hold an SAE from elsewhere against the model, before anything is measured of it.

An SAE of another hook, model or preparation of the activations computes numbers all the same, and
they look like those of a bad SAE. Of a few tokens, within the context that it was trained on:

    identity    x_hat + (x - x_hat) at the hook gives the clean loss
    centring    of one that takes the mean over d_in off its inputs (`center_input`): the model
                gives the same loss without this mean, as every model does that reads its residual
                stream through LayerNorm (TransformerLens' center_writing_weights rests on it)
    L0          it has about as many active latents as its files say

What fails is not measured further. `measure_gate` is the job, `check` the verdict.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from saeflow import device
from saeflow.errors import ModelError
from saeflow.measures.encoders import load_for_model
from saeflow.measures.exchange import evaluated_tokens, exchanges
from saeflow.measures.language import write
from saeflow.measures.sums import DocumentSums
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE
from saeflow.sae.saved.fits import FitWarning
from saeflow.task import Task
from saeflow.tokens.sequences import Sequences

IDENTITY_NATS, CENTRING_NATS = 1e-5, 1e-4
"""Mean absolute changes of the loss of a token that float32 alone may make."""
ALIKE, APART = 1.25, 3.0
"""Factors between two L0: texts of another kind give up to the first, a misread SAE the second."""

_CENTRED = "center"


def measure_gate(tasks: Sequence[Task]) -> None:
    """Hold SAEs of any hooks of a model against it, and finish their tasks or let them fail.

    Setting ``tokens``, how many of the split are enough; inputs ``sae``, ``model`` and ``tokens``.
    Works get ``documents.parquet``; records have ``l0_stated`` where there is one.
    """
    from saeflow.models.load import load_model_once

    inputs, machine = tasks[0].inputs, device.pick()
    model = load_model_once(inputs["model"], machine)
    tokens = evaluated_tokens(inputs["tokens"])
    patched_at = cache(lambda hook: PatchedModel(model, Hook.parse(hook)))
    for task in tasks:
        with task.attempt():
            sae = load_for_model(task.inputs["sae"], inputs["model"], machine)
            part = trained_on(sae.metadata, tokens, task.settings["tokens"])
            columns = held_against(patched_at(sae.metadata["hook"]), sae, part)
            stated = stated_l0(sae.metadata)
            check(sae, columns, stated, where=task.inputs["sae"])
            write(task, columns, {} if stated is None else {"l0_stated": stated})


def trained_on(metadata: Mapping[str, Any], tokens: Sequences, n_tokens: int) -> Sequences:
    """Return the beginnings of sequences, as long as what an SAE was trained on if that is known.

    They have ``n_tokens`` together if there are as many.
    """
    length = metadata.get("context_length")
    return (tokens if length is None else tokens.beginnings(int(length))).first(n_tokens)


def stated_l0(metadata: Mapping[str, Any]) -> float | None:
    """Return the L0 that an SAE's files tell of."""
    evidence = metadata.get("evidence") or {}
    return metadata.get("l0", evidence.get("l0"))


@torch.no_grad()
def held_against(patched: PatchedModel, sae: SAE, tokens: Sequences) -> dict[str, np.ndarray]:
    """Return the sums of `saeflow.metrics.gate` per document of ``tokens``."""
    sums = DocumentSums(tokens.documents[~tokens.special])
    for part in exchanges(patched, tokens):
        codes = sae.encode_sparse(part.x)
        x_hat = sae.decode(codes)
        states = {"gap_identity": part.states_with(x_hat + (part.x - x_hat))}
        if sae.input_norm == _CENTRED:
            centred = part.x - part.x.mean(1, keepdim=True)
            states["gap_centring"] = part.states_with(centred)
        ce_clean, losses = part.compare(states)
        gaps = {name: np.abs(ce - ce_clean) for name, (ce, _) in losses.items()}
        predictions = {"predictions": np.ones(len(ce_clean)), **gaps}
        sums.add(tokens.documents[part.tokens.scored], predictions)
        active = torch.diff(codes.offsets).double().cpu().numpy()
        replaced = {"tokens": np.ones(len(active)), "active": active}
        sums.add(tokens.documents[part.tokens.replaced], replaced)
    return sums.columns()


def check(
    sae: SAE, columns: Mapping[str, np.ndarray], stated: float | None, *, where: object
) -> None:
    """Raise or warn where an SAE does not do in the model what it must, as ``columns`` tell.

    Parameters
    ----------
    columns
        What `held_against` found.
    stated
        The L0 that its files tell of.
    where
        Named in messages.

    Raises
    ------
    ModelError
        If one of the losses changes, or the L0 is another by more than `APART`.

    Warns
    -----
    FitWarning
        If the L0 is another by more than `ALIKE`.
    """
    total = {name: column.sum() for name, column in columns.items()}
    identity = total["gap_identity"] / total["predictions"]
    if not identity <= IDENTITY_NATS:  # NaN is none
        raise ModelError(
            "the SAE's reconstruction and its error together are not the activation",
            where=where,
            expected=f"a loss within {IDENTITY_NATS:g} nats/token of the clean one",
            got=f"{identity:.3g} nats/token from it",
            remedy="Its reconstructions are no numbers, or so large that rounding swallows the"
            " activation: its weights are damaged, or are for activations of another scale.",
        )
    centring = total.get("gap_centring", 0.0) / total["predictions"]
    if not centring <= CENTRING_NATS:
        raise ModelError(
            "the SAE takes the mean over d_in off its inputs, and this model minds that mean",
            where=where,
            expected=f"a loss within {CENTRING_NATS:g} nats/token of the clean one without the mean"
            f" at {sae.metadata.get('hook')}",
            got=f"{centring:.3g} nats/token from it",
            remedy="It was trained on another model or hook, or as it is: set center_input: false"
            " for it.",
        )
    l0 = total["active"] / total["tokens"]
    if stated is None or not stated > 0:
        return
    factor = max(l0 / stated, stated / l0) if l0 > 0 else np.inf
    text = f"{l0:.3g} of its latents are active on a token, and {stated:.3g} by its own files"
    if factor > APART and "evidence" not in sae.metadata.get("imported", {}).get("accepted", ()):
        raise ModelError(
            text,
            where=where,
            expected=f"within a factor of {APART:g}",
            got=f"{factor:.3g}",
            remedy="It is for other activations: see center_input, the hook and the model. To"
            " measure it all the same, accept: [evidence].",
        )
    if factor > ALIKE:
        warnings.warn(f"{where}: {text}; see whether it fits", FitWarning, stacklevel=2)
