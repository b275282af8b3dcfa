"""Adam on named tensors, the learning rate's schedule and the decoder's unit norm."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_EPSILON = 1e-12


class Adam:
    """Fused Adam over a dictionary of weights, with moments that a checkpoint can hold.

    Parameters
    ----------
    weights, gradients
        Tensors by name, of equal strides; each contiguous or the transpose of a contiguous one.
    """

    def __init__(self, weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        self._weights = {name: memory(w) for name, w in weights.items()}
        for name, w in self._weights.items():
            w.grad = memory(gradients[name])
        self._optimizer = torch.optim.Adam(self._weights.values(), lr=0.0, fused=True)
        self.load({}, 0)

    def step(self, learning_rate: float) -> None:
        """Move the weights along their gradients."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()

    @property
    def moments(self) -> dict[str, Tensor]:
        """The running means, named ``first/<weight>`` and ``second/<weight>``."""
        state = self._optimizer.state
        moments = {}
        for name, w in self._weights.items():
            moments[f"first/{name}"] = state[w]["exp_avg"]
            moments[f"second/{name}"] = state[w]["exp_avg_sq"]
        return moments

    def load(self, moments: Mapping[str, Tensor], n_steps: int) -> None:
        """Continue from ``moments`` after ``n_steps`` steps; from zero where there are none."""
        for name, w in self._weights.items():
            first, second = (
                moments[f"{kind}/{name}"].clone() if moments else torch.zeros_like(w)
                for kind in ("first", "second")
            )
            self._optimizer.state[w] = {
                "step": torch.tensor(float(n_steps), device=w.device),
                "exp_avg": first,
                "exp_avg_sq": second,
            }


def memory(w: Tensor) -> Tensor:
    """Return ``w`` or its transpose: the one that is contiguous."""
    return w if w.is_contiguous() else w.T


def learning_rate(
    base: float, *, tokens: int, batch: int, total: int, warmup: int, decay: int
) -> float:
    """Return the learning rate of the step that starts after ``tokens`` of ``total`` tokens.

    It rises linearly over the first ``warmup`` tokens and falls linearly over the last ``decay``.
    """
    rise = (tokens + batch) / warmup if warmup else 1.0
    fall = (total - tokens) / decay if decay else 1.0
    return base * min(1.0, rise, fall)


def remove_parallel(gradient: Tensor, rows: Tensor) -> None:
    """Take off each row of ``gradient`` its part along the unit row of ``rows``, both (n, d)."""
    gradient.addcmul_((gradient * rows).sum(1, keepdim=True), rows, value=-1)


def normalise(rows: Tensor) -> None:
    """Give each row of ``rows`` (n, d) unit norm."""
    rows.div_(torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min_(_EPSILON))
