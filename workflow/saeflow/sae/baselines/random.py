"""Random dictionary: random unit directions, the k nearest of each input, nothing learned but size.

    f = ReLU(TopK((x - mean) W^T)),  x_hat = a f W + mean

Rows of W are random; the one number a is the least-squares factor on a draw of training rows,
since k directions that overlap would make x_hat too long. What an SAE explains beyond this it has
learned.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saeflow.config.saes import Random as Settings
from saeflow.sae.sparse.select import top_k
from saeflow.sae.steps.initial import directions
from saeflow.sae.training.rows import TrainingRows

ARCHITECTURE = "topk"
_DRAWN_ROWS, _BLOCK_ROWS = 1 << 15, 1 << 12


def fit(
    settings: Settings, rows: TrainingRows, generator: torch.Generator
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the settings and weights of the SAE."""
    mean, d_sae = rows.moments.mean.float(), round(settings.expansion * rows.d_in)
    W = directions(d_sae, rows.d_in, generator=generator, like=mean)
    x = rows.draw(_DRAWN_ROWS, generator.initial_seed()).x
    inner, square = 0.0, 0.0
    for part in (x - mean).split(_BLOCK_ROWS):
        x_hat = top_k(part @ W.T, settings.k).decode(W).double()
        inner += float((x_hat * part).sum())
        square += float(x_hat.square().sum())
    a = inner / square if square else 1.0
    weights = {"W_enc": W.clone().T, "b_enc": W.new_zeros(d_sae), "W_dec": W * a, "b_dec": mean}
    return {"k": settings.k, "subtract_b_dec": True}, weights
