"""Peak memory of jobs, in bytes, without the files that the system keeps in memory.

From the sizes of what is held at once; libraries are counted as a constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from saeflow.cost.shapes import Shape

PLAIN_BYTES = 150e6
TABLES_BYTES = 600e6
_TORCH_BYTES = 550e6
_FLOAT = 4
_LOGIT_CHUNKS_BYTES = 4 * (1 << 24) * _FLOAT
_WINDOW_ROWS = 1 << 20
_WINDOW_ROW_BYTES = 32  # row numbers and their order, of this window and the next


def model(shape: Shape) -> float:
    """Return the memory of a model in float32, and of the libraries."""
    return _TORCH_BYTES + _FLOAT * shape.n_parameters


def harvest(shape: Shape, batch_tokens: int, n_hooks: int) -> float:
    """Return the memory of a harvest: a batch inside a block, and its rows at every hook."""
    inside = shape.d_mlp + 8 * shape.d_model
    return model(shape) + _FLOAT * batch_tokens * (inside + 2 * n_hooks * shape.d_model)


def training(shape: Shape, batch_tokens: int) -> float:
    """Return the memory of a model's training: weights four times, and what backward needs."""
    per_block = 14 * shape.d_model + 3 * shape.d_mlp
    kept = shape.n_layers * per_block + 4 * shape.vocab_size
    return _TORCH_BYTES + _FLOAT * (4 * shape.n_parameters + batch_tokens * kept)


def fits(d_in: int, widths: Sequence[int], batch: int) -> float:
    """Return the memory of training SAEs together: weights, gradients, two moments; a workspace."""
    weights = sum(2 * d_in * width + 2 * width + d_in for width in widths)
    workspace = 4 * batch * max(widths) + 6 * batch * d_in
    window = _WINDOW_ROWS * _WINDOW_ROW_BYTES
    return _TORCH_BYTES + _FLOAT * (4 * weights + workspace) + window


def live(shape: Shape, activations: Mapping[str, Any], n_rows: int | None) -> float:
    """Return what it takes to compute live activations while fitting: model, a batch, a window.

    Parameters
    ----------
    shape
        The model's.
    activations
        Settings of the activations: ``dtype`` and ``batch_tokens``.
    n_rows
        Rows of the split, where they are known: a window has no more.
    """
    window = _WINDOW_ROWS if n_rows is None else min(_WINDOW_ROWS, n_rows)
    item = 4 if activations["dtype"] == "float32" else 2
    forward = harvest(shape, activations["batch_tokens"], 1) - _TORCH_BYTES
    return forward + window * shape.d_model * item


def measuring(shape: Shape) -> float:
    """Return the memory of a measure that runs the model."""
    return model(shape) + _LOGIT_CHUNKS_BYTES
