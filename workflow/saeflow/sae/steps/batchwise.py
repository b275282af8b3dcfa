"""Selection over a batch in training, and by a stored threshold outside of it.

What BatchTopK and Matryoshka SAEs share, after Bussmann et al. 2024 ("BatchTopK Sparse
Autoencoders", arXiv 2412.06410). Training keeps the k * n largest pre-activations of n inputs.
Elsewhere an input's code must not depend on its batch: a latent is active above the buffer
"threshold", the running mean of the smallest activation that training kept. It has one entry per
latent, all equal, so that our files are JumpReLU SAEs to any reader, as SAELens' own are.

Latents of a crosscoder are compared times their size, the sum of their decoder norms at its hooks
(Minder et al. 2025, "Overcoming Sparsity Artifacts in Crosscoders to Interpret Chat-Tuning", arXiv
2504.02922); the threshold of each is then the common one over its size.
"""

from __future__ import annotations

import torch
from torch import Tensor

from saeflow.config.architectures import BatchTopK, BatchTopKSettings
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.dense import DenseCodes
from saeflow.sae.sparse.select import batch_top_k
from saeflow.sae.steps.auxk import initial_top_k, require_width
from saeflow.sae.steps.backward import active, pre_activations
from saeflow.sae.steps.joined import norms
from saeflow.sae.steps.step import Weights, Workspace

# Share of the running mean at which candidates are looked for: the border moves by a few per cent
# from batch to batch.
_MARGIN = 0.8


def initial(
    settings: BatchTopK, d_sae: int, x: Tensor, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return first weights, from a first batch ``x`` (n, d_in), and the threshold that it gives.

    The first step sets the threshold anew; an SAE that is left untrained needs one.
    """
    require_width(settings.k, d_sae)
    n_wanted = _n_wanted(settings, x)
    weights = initial_top_k(settings, lambda pre: batch_top_k(pre, n_wanted), d_sae, x, generator)
    weights["threshold"] = x.new_zeros(d_sae)
    pre = pre_activations(weights, settings, x)
    select(pre, weights, settings, tokens=0)
    return weights


def encode_sparse(
    weights: Weights, settings: BatchTopK, x: Tensor, workspace: Workspace | None = None
) -> Codes | DenseCodes:
    """Return the latents of ``x`` (n, d_in) above the threshold."""
    pre = pre_activations(weights, settings, x, workspace)
    return active(pre, weights["threshold"].clamp(min=0), workspace)


def select(pre: Tensor, weights: Weights, settings: BatchTopK, *, tokens: int) -> Codes:
    """Return the codes of a batch in training, of ``pre`` (n, d_sae), after so many ``tokens``.

    The threshold follows: "threshold" is changed in place.
    """
    if getattr(settings, "widths", None) is not None:
        return _select_by_size(pre, weights, settings, tokens)
    n, threshold = len(pre), weights["threshold"]
    codes = batch_top_k(pre, _n_wanted(settings, pre), guess=_MARGIN * float(threshold[0]))
    if codes.n_active:
        rate = max(n / (tokens + n), min(1.0, n / settings.threshold_tokens))
        threshold.lerp_(codes.values.min(), rate)
    return codes


def _select_by_size(
    pre: Tensor, weights: Weights, settings: BatchTopKSettings, tokens: int
) -> Codes:
    """Return the codes of a crosscoder's batch, as `select` does of another's.

    NOTE: the sizes move a little with each step, so the common threshold is the mean of what its
    latents say it is.
    """
    size, threshold = norms(weights["W_dec"], settings.widths).sum, weights["threshold"]
    common = {"threshold": torch.full_like(threshold, float((threshold * size).mean()))}
    alike = settings.as_base(BatchTopK)
    codes = select(pre * size, common, alike, tokens=tokens)
    torch.div(common["threshold"], size, out=threshold)
    return codes.with_values(codes.values / codes.at_entries(size))


def _n_wanted(settings: BatchTopK, batch: Tensor) -> int:
    """Return how many entries of a batch (n, ...) are active."""
    return max(1, int(settings.k * len(batch)))
