"""Where tensors live: a fact of the machine, never of a result's identity."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def pick() -> torch.device:
    """Return the device named by ``SAEFLOW_DEVICE``, else the GPU if there is one."""
    import torch

    name = os.environ.get("SAEFLOW_DEVICE", "auto")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
