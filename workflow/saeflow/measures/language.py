"""What SAEs do to the model's predictions: losses and divergence with x_hat in place of x.

One clean pass of the model serves every SAE of the hook; after that only the part of the model
behind the hook runs. `measure_language` is the job, `predictions` the measurement.

Which rows are replaced: the ordinary ones. Special tokens (BOS, separators) keep their own
activations in every variant. Which predictions are scored: those of an ordinary token that has a
token before it in its sequence. So the token after a BOS is scored, though the row that predicts
it is never replaced, and the clean loss is the one that Hugging Face gives for BOS + text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from saeflow import device
from saeflow.errors import DataError, SaeflowError
from saeflow.files import read_json
from saeflow.logs import progress
from saeflow.measures.encoders import Coder, Encoders, finish_each, load_saes
from saeflow.measures.reconstruction import SPLIT, evaluated, mean_activation
from saeflow.measures.sums import DocumentSums, write_table
from saeflow.models.hooks import Hook
from saeflow.models.loss import CHUNK_LOGITS, Reference, scored_tokens
from saeflow.models.patched import PatchedModel
from saeflow.models.slices import Head
from saeflow.task import Task
from saeflow.tokens.sequences import BATCH_TOKENS, Batch, Sequences, sequences_of
from saeflow.tokens.store import open_tokens

# Tokens whose logits are compared at a time: on a CPU so few that these stay in a core's cache,
# which took half the time of a whole batch.
_CPU_CHUNK_ROWS = 256


def measure_language(tasks: Sequence[Task]) -> None:
    """Measure SAEs of one hook in the model and finish their tasks.

    Parameters
    ----------
    tasks
        Of one pass. Inputs: ``sae``; ``model`` and the ``tokens`` to predict; ``activations`` of
        the hook on these tokens, whose mean is what mean ablation takes; ``target``, the
        activations that transcoders predict, at whose hook their answer is put. Works get
        ``documents.parquet``.
    """
    from saeflow.models.load import load_model_once

    inputs, machine = tasks[0].inputs, device.pick()
    read = inputs["activations"]
    exchanged = inputs.get("target", read)
    hook, reads = (Hook.parse(read_json(record)["hook"]) for record in (exchanged, read))
    mean = torch.from_numpy(mean_activation(evaluated(exchanged))).float().to(machine)
    tasks, saes = load_saes(tasks, machine)
    if not tasks:
        return
    patched = PatchedModel(load_model_once(inputs["model"], machine), hook, reads)
    tokens = sequences_of(open_tokens(inputs["tokens"]), SPLIT)
    finish_each(tasks, predictions(patched, saes, tokens, mean), write)


@torch.no_grad()
def predictions(
    patched: PatchedModel,
    coders: Sequence[Coder],
    tokens: Sequences,
    mean: torch.Tensor,
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> list[dict[str, np.ndarray] | SaeflowError]:
    """Measure SAEs in the model, in one pass over the tokens.

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
    batch_tokens
        Tokens in a forward pass; changes nothing but rounding.

    Returns
    -------
    list
        For each SAE ``document`` and the sums of `saeflow.metrics.language`, (n_documents,); or
        why it failed.
    """
    encoders, sums = Encoders(coders), DocumentSums(scored_documents(tokens))
    for batch in progress(tokens.batches(batch_tokens), desc="language", unit="batches"):
        batch = batch.to(mean.device)
        scored = scored_tokens(batch.real, ~batch.ordinary)
        documents = batch.documents[scored.cpu().numpy()]
        for place, losses in _losses(patched, encoders, batch, scored, mean).items():
            sums.add(documents, losses, of=place)
    return encoders.results(sums.columns)


def scored_documents(tokens: Sequences) -> np.ndarray:
    """Return the documents (n,) of the tokens that are scored, or raise where there is none."""
    wanted = ~tokens.special
    wanted[tokens.offsets[:-1]] = False
    if not wanted.any():
        raise DataError(
            f"the {SPLIT} split has no token that can be predicted",
            got=f"{len(tokens.offsets) - 1} sequences",
            remedy=f"Give the dataset a larger {SPLIT} share under `splits`, or raise the packing's"
            f" tokens > {SPLIT}.",
        )
    return tokens.documents[wanted]


def _losses(
    patched: PatchedModel,
    encoders: Encoders,
    batch: Batch,
    scored: torch.Tensor,
    mean: torch.Tensor,
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

    nothing = flat.new_zeros(len(replaced), flat.shape[1])
    states: dict[int | str, torch.Tensor] = {
        "ce_zero": states_with(nothing),
        "ce_mean": states_with(mean.expand_as(nothing)),
    }
    read = clean.read.flatten(0, 1).index_select(0, replaced)
    for place, _, x_hat in encoders.run(read):
        states[place] = states_with(x_hat)
    clean_states = clean.states.flatten(0, 1).index_select(0, before)
    ce_clean, found = compare(patched.head, clean_states, states, batch.input_ids[scored])
    shared = {"predictions": np.ones(len(ce_clean)), "ce_clean": ce_clean}
    shared |= {name: found.pop(name)[0] for name in ("ce_zero", "ce_mean")}
    return {None: shared, **{p: {"ce_sae": ce, "kl": kl} for p, (ce, kl) in found.items()}}


def rows_of(batch: Batch, scored: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows that are replaced, and those that predict ``scored`` (batch, seq) tokens.

    Both (n,) are indices of the batch's rows one sequence after the other.
    """
    before = torch.zeros_like(scored)
    before[:, :-1] = scored[:, 1:]
    replaced, before = (mask.flatten().nonzero().squeeze(1) for mask in (batch.ordinary, before))
    return replaced, before


def compare(
    head: Head, clean: torch.Tensor, variants: Mapping[Any, torch.Tensor], targets: torch.Tensor
) -> tuple[np.ndarray, dict[Any, np.ndarray]]:
    """Return cross-entropies (n,) of clean states, and for each variant's these and divergences.

    Both are float64; a variant's are (2, n).
    """
    n = len(targets)
    ce_clean, found = clean.new_empty(n), clean.new_empty(len(variants), 2, n)
    step = _chunk_rows(head, clean)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        reference = Reference(head(clean[rows]), targets[rows])
        ce_clean[rows] = reference.ce
        for own, states in zip(found, variants.values(), strict=True):
            own[0, rows], own[1, rows] = reference.compare(head(states[rows]))
    by_variant = zip(variants, found.double().cpu().numpy(), strict=True)
    return ce_clean.double().cpu().numpy(), dict(by_variant)


def _chunk_rows(head: Head, states: torch.Tensor) -> int:
    if states.device.type == "cpu":
        return _CPU_CHUNK_ROWS
    return max(1, CHUNK_LOGITS // head(states[:1]).shape[-1])


def write(task: Task, columns: Mapping[str, np.ndarray]) -> None:
    """Write sums per document and finish the task."""
    write_table(task.work.path / "documents.parquet", columns)
    task.finish(
        {
            "n_tokens": int(columns["predictions"].sum()),
            "n_documents": len(columns["document"]),
        }
    )
