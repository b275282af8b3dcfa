"""Reading the tensors of a safetensors file. Read `read_tensors`."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from saeflow.errors import DamagedError


def read_tensors(path: Path, *, remedy: str) -> dict[str, Tensor]:
    """Return the tensors of a file; one that is missing or torn is a `DamagedError`."""
    if not path.is_file():
        raise DamagedError("the weights are missing", where=path, remedy=remedy)
    try:
        # copies: memory of a mapped file is not aligned like memory of torch
        return {name: w.clone() for name, w in safetensors.torch.load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise DamagedError(
            "the weights are not readable", where=path, got=str(error), remedy=remedy
        ) from error
