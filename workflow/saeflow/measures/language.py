"""What an SAE does to the model's predictions: losses and divergence with x_hat in place of x.

One clean pass of the model serves every SAE of the hook; after that only the part of the model
behind the hook runs. `measure_language` is the job, `predictions` the measurement.

Which rows are replaced: the ordinary ones. Special tokens (BOS, separators) keep their own
activations in every variant. Which predictions are scored: those of an ordinary token that has a
token before it in its sequence. So the token after a BOS is scored, though the row that predicts
it is never replaced, and the clean loss is the one that Hugging Face gives for BOS + text.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saeflow import device, registry
from saeflow.errors import DataError
from saeflow.files import read_json
from saeflow.logs import progress
from saeflow.measures.encoders import Coder, Encoders
from saeflow.measures.intervals import Estimate, as_record, estimates
from saeflow.measures.output import write_table
from saeflow.measures.reconstruction import SPLIT, evaluated, mean_activation
from saeflow.measures.sums import DocumentSums
from saeflow.models.hooks import Hook
from saeflow.models.loss import CHUNK_LOGITS, cross_entropy, kl_divergence, scored_tokens
from saeflow.models.patched import PatchedModel
from saeflow.models.slices import Head
from saeflow.tokens.sequences import BATCH_TOKENS, Batch, Sequences, sequences_of
from saeflow.tokens.store import open_tokens
from saeflow.work import Work

logger = logging.getLogger(__name__)

# Below this, the recovered share of the ablation's damage is a ratio of noises.
_SMALL_GAP_NATS = 0.01

ABLATIONS = ("zero", "mean")


def measure_language(
    wanted: Sequence[tuple[Work, Path]],
    *,
    model: Path,
    tokens: Path,
    activations: Path,
    settings: Mapping[str, Any],
    exchanged: Path | None = None,
) -> None:
    """Measure SAEs of one hook in the model and finish their works.

    Parameters
    ----------
    wanted
        The work of each measurement, and the record of its SAE (``sae.json``).
    model, tokens
        Records of the model and of the tokens to predict.
    activations
        Record of the hook's activations on these tokens: mean ablation takes their mean.
    settings
        ``metrics`` (names), ``bootstrap`` (resamples), ``seed``.
    exchanged
        Record of the activations that transcoders predict, at whose hook they are put; None for
        ``activations``.
    """
    from saeflow.models.load import load_model_once
    from saeflow.sae.saved.fits import load_fitting

    target = device.pick()
    hook, reads = (
        Hook.parse(read_json(record)["hook"]) for record in (exchanged or activations, activations)
    )
    patched = PatchedModel(load_model_once(model, target), hook, reads)
    coders = [load_fitting(record, activations).to(target) for _, record in wanted]
    mean = torch.from_numpy(mean_activation(evaluated(exchanged or activations)))
    mean = mean.float().to(target)
    found = predictions(patched, coders, sequences_of(open_tokens(tokens), SPLIT), mean)
    for (work, _), sums in zip(wanted, found, strict=True):
        _write(work, sums, settings)


@torch.no_grad()
def predictions(
    patched: PatchedModel,
    coders: Sequence[Coder],
    tokens: Sequences,
    mean: torch.Tensor,
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> list[DocumentSums]:
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
    list of DocumentSums
        For each SAE, columns ``predictions``, ``ce_clean``, ``ce_zero``, ``ce_mean``, ``ce_sae``
        and ``kl``, in nats.
    """
    results = [DocumentSums(_scored_documents(tokens)) for _ in coders]
    encoders = Encoders(coders)
    for batch in progress(tokens.batches(batch_tokens), desc="language", unit="batches"):
        batch = Batch(*(t.to(mean.device) for t in batch[:3]), batch.documents)
        scored = scored_tokens(batch.real, ~batch.ordinary)
        shared, of_coders = _losses(patched, encoders, batch, scored, mean)
        documents = batch.documents[scored.cpu().numpy()]
        shared["predictions"] = np.ones(len(documents))
        for sums, own in zip(results, of_coders, strict=True):
            sums.add(documents, shared | own)
    return results


def _scored_documents(tokens: Sequences) -> np.ndarray:
    wanted = ~tokens.special
    wanted[tokens.offsets[:-1]] = False
    if not wanted.any():
        raise DataError(f"the {SPLIT} split has no token that can be predicted")
    return tokens.documents[wanted]


def _losses(
    patched: PatchedModel,
    encoders: Encoders,
    batch: Batch,
    scored: torch.Tensor,
    mean: torch.Tensor,
) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    """Return the losses (n_scored,) of one batch: those that all SAEs share, and each one's own."""
    clean = patched.clean(batch.input_ids)
    x, read = clean.x[batch.ordinary], clean.read[batch.ordinary]
    values = [torch.zeros_like(x), mean.expand_as(x)]
    values += [coder.decode(codes) for coder, codes in encoders.pairs(read)]
    before = torch.zeros_like(scored)
    before[:, :-1] = scored[:, 1:]
    states = []
    for value in values:
        exchanged = clean.x.clone()
        exchanged[batch.ordinary] = value
        states.append(patched.states(exchanged, clean, batch.input_ids)[before])
    targets = batch.input_ids[scored]
    ce_clean, ce, kl = _compare(patched.head, clean.states[before], states, targets)
    shared = {"ce_clean": ce_clean, "ce_zero": ce[0], "ce_mean": ce[1]}
    n = len(ABLATIONS)
    own = [{"ce_sae": c, "kl": k} for c, k in zip(ce[n:], kl[n:], strict=True)]
    return shared, own


def _compare(
    head: Head, clean: torch.Tensor, variants: list[torch.Tensor], targets: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cross-entropies (n,) and (n_variants, n), and divergences, 0 for the ablations."""
    n, vocab_size = len(targets), head(clean[:1]).shape[-1]
    ce_clean = np.empty(n)
    ce, kl = np.empty((len(variants), n)), np.zeros((len(variants), n))
    step = max(1, CHUNK_LOGITS // vocab_size)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        clean_logits = head(clean[rows])
        ce_clean[rows] = cross_entropy(clean_logits, targets[rows]).cpu()
        for index, states in enumerate(variants):
            logits = head(states[rows])
            ce[index, rows] = cross_entropy(logits, targets[rows]).cpu()
            if index >= len(ABLATIONS):
                kl[index, rows] = kl_divergence(clean_logits, logits).cpu()
    return ce_clean, ce, kl


def metrics_of(
    sums: DocumentSums, names: Iterable[str], *, samples: int, seed: int
) -> dict[str, Estimate]:
    """Form metrics from the sums of `predictions`; arguments as in `reconstruction.metrics_of`."""
    formulas = {name: registry.load("metrics.formulas", name).compute for name in names}
    return estimates(formulas, sums.columns, constants={}, samples=samples, seed=seed)


def ablation_gaps(sums: DocumentSums) -> dict[str, float]:
    """Return what each ablation adds to the loss, in nats per token: what is there to recover."""
    totals = {name: float(column.sum()) for name, column in sums.columns.items()}
    return {
        kind: (totals[f"ce_{kind}"] - totals["ce_clean"]) / totals["predictions"]
        for kind in ABLATIONS
    }


def _write(work: Work, sums: DocumentSums, settings: Mapping[str, Any]) -> None:
    metrics = metrics_of(
        sums, settings["metrics"], samples=settings["bootstrap"], seed=settings["seed"]
    )
    gaps = ablation_gaps(sums)
    for kind, gap in gaps.items():
        if gap < _SMALL_GAP_NATS:
            logger.warning(
                "%s: %s ablation adds only %.4f nats/token: ce_recovered_%s is mostly noise",
                work.output,
                kind,
                gap,
                kind,
            )
    write_table(work.path / "documents.parquet", {"document": sums.ids, **sums.columns})
    work.finish(
        {
            "n_tokens": int(sums.columns["predictions"].sum()),
            "n_documents": sums.n_documents,
            "ablation_gaps": gaps,
            "metrics": as_record(metrics),
        }
    )
