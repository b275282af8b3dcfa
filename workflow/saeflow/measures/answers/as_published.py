"""Statistics of prompts as Anders and Bloom 2024 published them, to hold ours beside theirs.

Their code cached what it took for activations after reconstructions had been put in their place,
and for the loss put them in a second time: the published numbers are of SAE(x) and of SAE(SAE(x)).
All positions were replaced, BOS too, and the last token of the prompt was in no mean.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.linalg import vecdot, vector_norm

from saeflow.measures.answers.lines import Batch
from saeflow.measures.encoders import Coder
from saeflow.measures.sums import DocumentSums, Entries
from saeflow.models.loss import token_losses
from saeflow.models.patched import CleanPass, PatchedModel

PUBLISHED = (
    "published",
    "published_active",
    "published_activation",
    "published_norm",
    "published_mse",
    "published_ce_once",
    "published_ce_twice",
)
"""The sums: how many prompts have the others."""


def add_published(
    sums: DocumentSums,
    place: int,
    sae: Coder,
    patched: PatchedModel,
    clean: CleanPass,
    batch: Batch,
) -> None:
    """Add the ``published_`` sums of `saeflow.metrics.answers`, each a mean over one prompt.

    They go to ``place`` of ``sums``. A transcoder, whose answer is nothing that it could read, has
    no such numbers. ``clean`` is the untouched model on a batch.
    """
    rows = batch.real.flatten().nonzero().squeeze(1)
    if patched.reads != patched.hook:
        return
    once = sae.decode(sae.encode_sparse(clean.x.flatten(0, 1).index_select(0, rows)))
    codes = sae.encode_sparse(once)
    twice = sae.decode(codes)
    scored = _targets(batch)
    losses = [_losses(patched, clean, batch, rows, value, scored) for value in (once, twice)]
    question = batch.question.ravel()
    of_rows = question[rows.cpu().numpy()]
    of_codes = Entries.of(codes).sums
    once, twice = once.double(), twice.double()
    for number in np.unique(question[question >= 0]):
        own = np.flatnonzero(of_rows == number)[:-1]
        targets = batch.question[scored.cpu().numpy()] == number
        if not targets.any():
            continue
        at = torch.from_numpy(own).to(once.device)
        x, error = once[at], twice[at] - once[at]
        scale = x.shape[1] * vector_norm(x - x.mean(0), dim=1)
        found = (
            1.0,
            of_codes["active"][own].mean(),
            of_codes["activation"][own].mean(),
            float(vector_norm(x, dim=1).mean()),
            float((vecdot(error, error) / scale).mean()),
            *(of_token[targets].mean() for of_token in losses),
        )
        columns = {name: np.array([one]) for name, one in zip(PUBLISHED, found, strict=True)}
        sums.add(np.array([number]), columns, of=place)


def _targets(batch: Batch) -> torch.Tensor:
    """Return which tokens have a loss: the third of a prompt to the last but one."""
    own = torch.from_numpy(batch.question >= 0).to(batch.real.device)
    scored = own.clone()
    scored[:, :2] = False
    n = own.sum(1)
    scored[torch.arange(len(n), device=n.device)[n > 0], n[n > 0] - 1] = False
    return scored


def _losses(
    patched: PatchedModel,
    clean: CleanPass,
    batch: Batch,
    rows: torch.Tensor,
    value: torch.Tensor,
    scored: torch.Tensor,
) -> np.ndarray:
    """Return the losses (n_scored,) float64 with ``value`` in the place of ``rows``."""
    x = clean.x.flatten(0, 1).index_copy(0, rows, value).view_as(clean.x)
    states = patched.states(x, clean, batch.input_ids)
    losses = token_losses(patched.head, states, batch.input_ids, scored)
    return losses[scored].double().cpu().numpy()
