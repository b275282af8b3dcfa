"""Peak memory of passes, in bytes, without the files that the system keeps in memory.

From the sizes of what is held at once; libraries are counted as a constant. Read `peak`.
"""

from __future__ import annotations

from collections.abc import Sequence

from saeflow.cost.guess import UnknownError
from saeflow.cost.shapes import Shape
from saeflow.cost.work import Works, model_of
from saeflow.models.training_plan import training_plan
from saeflow.plan.result import Result

_TORCH_BYTES = 550e6
_FLOAT = 4
_LOGIT_CHUNKS_BYTES = 4 * (1 << 24) * _FLOAT
_WINDOW_ROWS = 1 << 20
_WINDOW_ROW_BYTES = 32  # row numbers and their order, of this window and the next


def peak(results: Sequence[Result], works: Works) -> float | None:
    """Return the peak of a pass that makes some results; None where it is small, or not known."""
    first, rule, model = results[0], results[0].rule, model_of(results[0])
    try:
        if rule == "train_lm":
            shape, n_tokens = works.shape(first), training_plan(first.settings).batch_tokens
            return _TORCH_BYTES + _training(shape, n_tokens)
        if rule == "fetch_model":  # which tries the model that it brings
            return _TORCH_BYTES + _FLOAT * works.shape(first).n_parameters
        if model is None:
            return None
        if rule in ("train_saes", "finetune_saes"):
            return _TORCH_BYTES + _fits(results, works.shape(model), works)
        held = _TORCH_BYTES + _FLOAT * works.shape(model).n_parameters
        if rule == "harvest":
            return held + _forward(works.shape(model), first, len(results))
        return held + _LOGIT_CHUNKS_BYTES if rule == "measure" else None
    except UnknownError:
        return None


def _forward(shape: Shape, store: Result, n_hooks: int) -> float:
    """Return what a batch takes inside a block, and its rows at every hook."""
    inside = shape.d_mlp + 8 * shape.d_model
    return _FLOAT * store.settings["batch_tokens"] * (inside + 2 * n_hooks * shape.d_model)


def _training(shape: Shape, batch_tokens: int) -> float:
    """Return what a model's training takes: weights four times, and what backward needs."""
    per_block = 14 * shape.d_model + 3 * shape.d_mlp
    kept = shape.n_layers * per_block + 4 * shape.vocab_size
    return _FLOAT * (4 * shape.n_parameters + batch_tokens * kept)


def _fits(results: Sequence[Result], shape: Shape, works: Works) -> float:
    """Return what SAEs take: weights, gradients, two moments; a workspace; where live, a window."""
    d, store = shape.d_model, results[0].inputs["activations"]
    widths = [works.width(one, d) for one in results]
    batch = max(one.settings.get("batch_size") or 1024 for one in results)
    weights = sum(2 * (d + 1) * width + d for width in widths)
    found = _FLOAT * (4 * weights + batch * (4 * max(widths) + 6 * d))
    found += _WINDOW_ROWS * _WINDOW_ROW_BYTES
    if store.settings["live"]:
        rows = min(_WINDOW_ROWS, works.tokens(store.inputs["tokens"]).splits["train"].value)
        item = 4 if store.settings["dtype"] == "float32" else 2
        found += _FLOAT * shape.n_parameters + _forward(shape, store, 1) + rows * d * item
    return found
