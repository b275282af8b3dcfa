"""A model's weight files, checked for holding numbers. Read `require_finite_weights`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from saeflow.errors import ModelError, first_line
from saeflow.finite import require_finite
from saeflow.models.record import weight_files


def require_finite_weights(directory: Path) -> None:
    """Raise unless every weight in a Hugging Face directory is a finite number.

    Parameters
    ----------
    directory
        With safetensors, or files of `torch.save`; one tensor is in memory at a time.

    Raises
    ------
    ModelError
        That names the first that is none, with its file and position.
    """
    for file in weight_files(directory):
        try:
            for name, weight in _tensors(file):
                require_finite(
                    weight, f"the weight {name}", where=file, error=ModelError,
                    remedy="Fetch or copy the model again; if it was saved so, its training"
                    " diverged: take an earlier checkpoint.",
                )  # fmt: skip
        except ModelError:
            raise
        except Exception as error:  # whatever readers of torn files raise
            raise ModelError(
                "the weights cannot be read",
                where=file,
                got=f"{type(error).__name__}: {first_line(error)}",
                remedy="Fetch or copy the model again.",
            ) from error


def _tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    if file.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(file, framework="pt") as content:
            for name in content.keys():  # noqa: SIM118
                yield name, content.get_tensor(name)
        return
    yield from torch.load(file, map_location="cpu", weights_only=True).items()
