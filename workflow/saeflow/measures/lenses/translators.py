"""Affine maps from a hook's states to the model's last states: the tuned lens, in closed form.

Belrose et al. 2023 ("Eliciting latent predictions from transformers with the tuned lens") train an
affine map per layer so that what the model's head makes of its values is, by KL divergence, what
the model says in the end. Here the map has the least squared error to the last block's output, with
a ridge: that is one system of equations, which has one solution, no step size and no end of
training, and is solved from second moments that a single pass adds up. The ridge pulls the map
towards the identity where the hook is in the residual stream, as theirs begins there, so that with
few texts it is the logit lens; elsewhere towards zero. How strong it is, is chosen on texts that
were held out, by the share of the last states' variance that is left over, each of their dimensions
counting alike (a few have most of the variance). Read `fit_translator`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

RIDGES = (1e-6, 1e-4, 1e-2, 1.0, 100.0)
"""Strengths of the ridge, of which one is chosen; in units of the mean variance of an input."""


class Moments:
    """Sums over pairs of a hook's state x and the last state y of the same token, in float64.

    Attributes
    ----------
    n : int
        Pairs.
    x, y : Tensor (d_in,), (d_out,)
    xx, xy : Tensor (d_in, d_in), (d_in, d_out)
        Sums of x x^T and x y^T.
    yy : Tensor (d_out,)
        Sums of the squares of y.
    """

    def __init__(self, d_in: int, d_out: int, device: torch.device | str = "cpu") -> None:
        wide = {"dtype": torch.float64, "device": device}
        self.n = 0
        self.x, self.y, self.yy = (torch.zeros(d, **wide) for d in (d_in, d_out, d_out))
        self.xx, self.xy = (torch.zeros(d_in, d, **wide) for d in (d_in, d_out))

    def add(self, x: Tensor, y: Tensor) -> None:
        """Add pairs x (n, d_in) and y (n, d_out)."""
        x, y = x.double(), y.double()
        self.n += len(x)
        self.x += x.sum(0)
        self.y += y.sum(0)
        self.yy += y.square().sum(0)
        self.xx.addmm_(x.T, x)
        self.xy.addmm_(x.T, y)

    def __add__(self, other: Moments) -> Moments:
        """Return the sums over both."""
        both = Moments(*self.xy.shape, self.xy.device)
        both.n = self.n + other.n
        for name in ("x", "y", "yy", "xx", "xy"):
            setattr(both, name, getattr(self, name) + getattr(other, name))
        return both

    def around(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``xx``, ``xy`` and ``yy`` of the differences to points x and y."""
        xx = self.xx - torch.outer(self.x, x) - torch.outer(x, self.x - self.n * x)
        xy = self.xy - torch.outer(self.x, y) - torch.outer(x, self.y - self.n * y)
        return xx, xy, self.yy - 2 * self.y * y + self.n * y.square()


class Translator(NamedTuple):
    """An affine map of states.

    Attributes
    ----------
    matrix : Tensor (d_in, d_out) float64
    bias : Tensor (d_out,) float64
    ridge : float
        One of `RIDGES`.
    left_over : float
        The share of the variance of the last states of held-out texts that it does not give, the
        mean over their dimensions; NaN where none was held out.
    """

    matrix: Tensor
    bias: Tensor
    ridge: float
    left_over: float

    def __call__(self, x: Tensor) -> Tensor:
        """Return the last states (n, d_out) that belong to states x (n, d_in), float64."""
        return x.to(self.matrix) @ self.matrix + self.bias


def fit_translator(fitted: Moments, held: Moments, *, in_stream: bool) -> Translator:
    """Return the map of least squared error on all pairs, with the ridge that held-out ones choose.

    Parameters
    ----------
    fitted
        Pairs to fit to.
    held
        Pairs to choose the ridge on, of other texts; without any it is the strongest.
    in_stream
        Whether x is a state of the residual stream, so that the map is near the identity.
    """
    ridge, left_over = RIDGES[-1], float("nan")
    if held.n:
        solved = _Solved(fitted, in_stream)
        errors = {one: solved.left_over(held, one) for one in RIDGES}
        ridge = min(errors, key=lambda one: errors[one])
        left_over = errors[ridge]
    matrix, bias = _Solved(fitted + held, in_stream).at(ridge)
    return Translator(matrix, bias, ridge, left_over)


class _Solved:
    """The maps that fit some pairs, for any ridge."""

    def __init__(self, moments: Moments, in_stream: bool) -> None:
        n = max(moments.n, 1)
        self._x, self._y = moments.x / n, moments.y / n
        xx, xy, _ = moments.around(self._x, self._y)
        shape = xy.shape
        self._prior = torch.eye(*shape).to(xy) if in_stream else torch.zeros_like(xy)
        values, self._vectors = torch.linalg.eigh(xx)
        self._values = values.clamp(min=0)
        self._target = self._vectors.T @ (xy - xx @ self._prior)
        self._unit = float(self._values.mean())

    def at(self, ridge: float) -> tuple[Tensor, Tensor]:
        """Return the matrix (d_in, d_out) and the bias (d_out,)."""
        strength = ridge * self._unit or 1.0  # all x the same: nothing is known of other ones
        change = self._vectors @ (self._target / (self._values + strength)[:, None])
        matrix = self._prior + change
        return matrix, self._y - self._x @ matrix

    def left_over(self, held: Moments, ridge: float) -> float:
        """Return the share of the variance of y around its mean here that the map leaves over."""
        matrix, _ = self.at(ridge)
        xx, xy, yy = held.around(self._x, self._y)
        error = (yy - 2 * (matrix * xy).sum(0) + (matrix * (xx @ matrix)).sum(0)).clamp(min=0)
        there = yy > 0
        return float((error[there] / yy[there]).mean()) if bool(there.any()) else 0.0
