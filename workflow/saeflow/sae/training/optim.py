"""Adam on named tensors, gradient clipping and the decoder's unit norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from saeflow.sae.sparse.rows import on_cpu

_EPSILON = 1e-12
_ROWS = 256


class Adam:
    """Fused Adam over a dictionary of weights, with moments that a checkpoint can hold.

    Weights and gradients, by name, have equal strides; each is contiguous or the transpose of a
    contiguous one.

    NOTE: the kernel of `torch.optim.Adam` without the class, which imports PyTorch's compiler: a
    second, and 800 modules.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        self._weights = {name: memory(w) for name, w in weights.items()}
        self._gradients = [memory(gradients[name]) for name in weights]
        self._options = {"beta1": betas[0], "beta2": betas[1], "eps": epsilon}
        self._options |= {"weight_decay": 0.0, "amsgrad": False, "maximize": False}
        self.load({}, 0)

    def step(self, learning_rate: float) -> None:
        """Move the weights along their gradients."""
        for count in self._steps:
            count.add_(1)
        torch.ops.aten._fused_adam_(
            list(self._weights.values()),
            self._gradients,
            list(self._first.values()),
            list(self._second.values()),
            [],
            self._steps,
            lr=learning_rate,
            **self._options,
        )

    @property
    def moments(self) -> dict[str, Tensor]:
        """The running means, named ``first/<weight>`` and ``second/<weight>``."""
        kinds = {"first": self._first, "second": self._second}
        return {f"{kind}/{name}": kinds[kind][name] for name in self._weights for kind in kinds}

    def load(self, moments: Mapping[str, Tensor], n_steps: int) -> None:
        """Continue from ``moments`` after ``n_steps`` steps; from zero where there are none."""
        self._first, self._second = (
            {
                name: moments[f"{kind}/{name}"].clone() if moments else torch.zeros_like(w)
                for name, w in self._weights.items()
            }
            for kind in ("first", "second")
        )
        self._steps = [
            torch.tensor(float(n_steps), device=w.device) for w in self._weights.values()
        ]

    def forget(self, name: str, rows: Tensor) -> None:
        """Set the running means of some rows (n,) of a weight to zero.

        A row is one along the first axis of the contiguous memory: a latent of "W_dec", of a
        bias, and of an encoder that is kept as a transpose.
        """
        for moments in (self._first, self._second):
            moments[name].index_fill_(0, rows, 0.0)


def memory(w: Tensor) -> Tensor:
    """Return ``w`` or its transpose: the one that is contiguous."""
    return w if w.is_contiguous() else w.T


def clip(gradients: Mapping[str, Tensor], limit: float) -> float:
    """Scale all gradients so that their norm, taken together, is at most ``limit``.

    Returns
    -------
    float
        The norm before.
    """
    # by name: the order of a sum moves its last bits, and a resumed run has another one
    parts = [memory(gradients[name]) for name in sorted(gradients)]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in parts]))
    factor = (limit / norm).clamp(max=1.0)
    for part in parts:
        part.mul_(factor)
    return float(norm)


def _parts(rows: Tensor) -> Sequence[Tensor]:
    """Return ``rows`` (n, d) in parts that fit a core's cache; whole on an accelerator."""
    return rows.split(_ROWS) if on_cpu(rows) else (rows,)


def remove_parallel(gradient: Tensor, rows: Tensor) -> None:
    """Take off each row of ``gradient`` its part along the unit row of ``rows``, both (n, d)."""
    for part, along in zip(_parts(gradient), _parts(rows), strict=True):
        part.addcmul_((part * along).sum(1, keepdim=True), along, value=-1)


def normalise(rows: Tensor) -> None:
    """Give each row of ``rows`` (n, d) unit norm."""
    for part in _parts(rows):
        part.div_(torch.linalg.vector_norm(part, dim=1, keepdim=True).clamp_min_(_EPSILON))
