"""Zero: x_hat = 0. One latent that is never active."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saeflow.config.saes import Zero as Settings
from saeflow.sae.training.baseline import signed
from saeflow.sae.training.rows import TrainingRows

ARCHITECTURE = "relu"


def fit(
    settings: Settings,  # noqa: ARG001
    rows: TrainingRows,
    generator: torch.Generator,  # noqa: ARG001
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the settings and weights of the SAE."""
    zeros = torch.zeros(1, rows.d_in)
    return {"l1": 0.0}, signed(zeros, zeros[0])
