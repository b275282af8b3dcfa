"""What SAEs do to the model's predictions: losses and divergence with x_hat in place of x.

The losses with the activations themselves and with ablations are those that `clean` kept. What
SAEs read is stored as well, and the reference of divergences takes one run of the model from the
hook on for all of them. `measure_language` is the job, `predictions` the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from saeflow.errors import SaeflowError
from saeflow.logs import progress
from saeflow.measures.encoders import Coder, Encoders, finish_each, load_at_hook
from saeflow.measures.exchange import Stored, exchanges, no_numbers, stored
from saeflow.measures.losses import Losses, open_losses
from saeflow.measures.sums import DocumentSums, write_table
from saeflow.models.hooks import Hook
from saeflow.models.patched import PatchedModel
from saeflow.task import Task
from saeflow.tokens.sequences import BATCH_TOKENS, Sequences


def measure_language(tasks: Sequence[Task]) -> None:
    """Measure SAEs of one hook in the model and finish their tasks.

    Inputs: those of `load_at_hook`; the ``tokens`` to predict, of which the activations are;
    ``clean``, the losses with what stands there by itself. Works get ``documents.parquet``.
    """
    inputs = tasks[0].inputs
    if (at := load_at_hook(tasks)) is None:
        return
    tokens, clean = open_losses(inputs)
    stores = stored(inputs["tokens"], *at.stores)
    finish_each(at.tasks, predictions(at.patched, at.saes, tokens, clean, stores), write)


@torch.no_grad()
def predictions(
    patched: PatchedModel,
    coders: Sequence[Coder],
    tokens: Sequences,
    clean: Losses,
    stores: Mapping[Hook, Stored] = {},
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> list[dict[str, np.ndarray] | SaeflowError]:
    """Measure SAEs in the model, in one pass over the tokens.

    Parameters
    ----------
    patched, tokens, stores, batch_tokens
        As of `saeflow.measures.exchange.exchanges`; the SAEs are on the model's device.
    clean
        The losses of these tokens with the hook's own activations and their ablations.

    Returns
    -------
    list
        For each SAE ``document`` and the sums of `saeflow.metrics.language`, (n_documents,); or
        why it failed.
    """
    encoders, sums = Encoders(coders), DocumentSums(tokens.documents[tokens.scored])
    batches = exchanges(patched, tokens, stores, batch_tokens=batch_tokens)
    for part in progress(batches, desc="language", unit="batches"):
        states = {place: part.states_with(x_hat) for place, _, x_hat in encoders.run(part.x)}
        scored = part.tokens.scored
        documents = tokens.documents[scored]
        sums.add(documents, {"predictions": np.ones(len(scored)), **clean.at(scored)})
        for place, (ce, kl) in part.compare(states)[1].items():
            if np.isfinite(ce).all() and np.isfinite(kl).all():
                sums.add(documents, {"ce_sae": ce, "kl": kl}, of=place)
            else:
                encoders.errors[place] = no_numbers(patched.hook)
    return encoders.results(sums.columns)


def write(task: Task, columns: Mapping[str, np.ndarray], facts: Mapping[str, Any] = {}) -> None:
    """Write sums per document and finish the task; ``facts`` go into its record."""
    write_table(task.work.path / "documents.parquet", columns)
    task.finish(
        {
            "n_tokens": int(columns["predictions"].sum()),
            "n_documents": len(columns["document"]),
            **facts,
        }
    )
