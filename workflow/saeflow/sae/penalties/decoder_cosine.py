"""A penalty on decoder rows that point alike: almost orthogonal latents, and what they cost.

    term = coefficient * mean over pairs i < j of cos(W_dec_i, W_dec_j)^2

Over all pairs, without a matrix of them: with unit rows u (d_sae, d), the sum over all i, j is
|u^T u|^2 and its gradient 4 u (u^T u). That is 2 d / batch of an encoder product's arithmetic. A
row of zeros has cosine 0 with all others. For scale: n random rows in d dimensions have a mean of
1 / d, and none can have less than (n - d) / (d (n - 1)) where n > d (Welch 1974).
"""

from __future__ import annotations

import torch

from saeflow.sae.model import SAE
from saeflow.sae.steps.step import Batch, State, Terms, Weights

_TINY = 1e-12


def add(
    coefficient: float,
    sae: SAE,
    gradients: Weights,
    batch: Batch,  # noqa: ARG001
    state: State,  # noqa: ARG001
    terms: Terms,  # noqa: ARG001
) -> float:
    """Add the gradients of the term and return its value."""
    n = len(sae.W_dec)
    if n < 2 or not coefficient:
        return 0.0
    norm = torch.linalg.vector_norm(sae.W_dec, dim=1, keepdim=True).clamp_min_(_TINY)
    unit = sae.W_dec / norm
    if unit.shape[1] < n:
        moment = unit.T @ unit
        d_unit = unit @ moment
        own = unit.square().sum(1)  # of each row with itself: 1, or 0 for a row of zeros
        total = float(moment.square().sum() - own.square().sum())
    else:  # few rows: their cosines, so that nothing large cancels
        cosines = (unit @ unit.T).fill_diagonal_(0)
        d_unit = cosines @ unit
        total = float(cosines.square().sum())
    # moving a row along itself changes no cosine
    d_unit.addcmul_((d_unit * unit).sum(1, keepdim=True), unit, value=-1)
    gradients["W_dec"].addcdiv_(d_unit, norm, value=4 * coefficient / (n * (n - 1)))
    return coefficient * total / (n * (n - 1))
