"""PCA: the projection on the leading principal components of the training rows.

With as many components as an SAE has active latents it is the linear map of that rank with the
least squared error, the fair comparison at equal l0; with all of them x_hat is x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saeflow.config.saes import PCA as Settings
from saeflow.errors import ConfigError
from saeflow.sae.training.baseline import signed
from saeflow.sae.training.rows import TrainingRows

ARCHITECTURE = "relu"


def fit(
    settings: Settings,
    rows: TrainingRows,
    generator: torch.Generator,  # noqa: ARG001
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the settings and weights of the SAE; the first component explains most.

    The sense of a component is fixed by its largest entry, which is positive.
    """
    n = rows.d_in if settings.components is None else settings.components
    if n > rows.d_in:
        raise ConfigError(
            "there are fewer principal components than that",
            where="components",
            expected=f"at most {rows.d_in}",
            got=n,
        )
    _, vectors = torch.linalg.eigh(rows.covariance)
    leading = vectors.flip(1)[:, :n].T
    largest = leading.gather(1, leading.abs().argmax(1, keepdim=True))
    return {"l1": 0.0, "subtract_b_dec": True}, signed(leading * largest.sign(), rows.moments.mean)
