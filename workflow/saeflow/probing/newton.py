"""Many penalised logistic regressions at once: Newton's method with conjugate gradients.

A problem minimises, over weights w (an intercept is one of them),

    sum_i c_i log(1 + exp(-y_i x_i w)) + 1/2 sum_j r_j w_j^2

with labels y of -1 and 1, row weights c of 0 and 1, and penalties r. Problems come in groups that
share their rows x, as the penalties of a grid do on one fold: each step is then two products of
matrices for all of them. Groups share a shape, so that folds are one call. scikit-learn fits one
problem a call, some 1.5 ms each of them, and the probes of a study are hundreds of thousands; it
is what this is held against in the tests. Read `minimise`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

TOLERANCE = 1e-5
_MAX_STEPS, _MAX_INNER, _MAX_HALVINGS = 60, 400, 30
_ARMIJO = 1e-4


class Design(Protocol):
    """The rows x of some groups of problems.

    Attributes
    ----------
    squares : ndarray (groups, p)
        Sums of the squares of the columns, above 0.
    """

    squares: np.ndarray

    def forward(self, w: np.ndarray) -> np.ndarray:
        """Return x w (groups, n, m) for weights (groups, p, m)."""

    def back(self, v: np.ndarray) -> np.ndarray:
        """Return x' v (groups, p, m) for v (groups, n, m)."""


class Dense:
    """Rows that are kept as they are.

    Parameters
    ----------
    x : ndarray (groups, n, p)
    """

    def __init__(self, x: np.ndarray) -> None:
        self._x, self._turned = x, np.ascontiguousarray(x.transpose(0, 2, 1))
        self.squares = np.maximum((x * x).sum(1), np.finfo(float).tiny)

    def forward(self, w: np.ndarray) -> np.ndarray:
        """Return x w (groups, n, m)."""
        return self._x @ w

    def back(self, v: np.ndarray) -> np.ndarray:
        """Return x' v (groups, p, m)."""
        return self._turned @ v


class Minimum(NamedTuple):
    """Where the problems have their minima.

    Attributes
    ----------
    weights : ndarray (groups, p, m)
    converged : ndarray (groups, m) bool
        Whether each gradient is as small as was asked for.
    """

    weights: np.ndarray
    converged: np.ndarray


def minimise(
    design: Design,
    positive: np.ndarray,
    counts: np.ndarray,
    penalty: np.ndarray,
    free: np.ndarray | None = None,
    *,
    tolerance: float = TOLERANCE,
) -> Minimum:
    """Solve m problems on each group of rows.

    Parameters
    ----------
    design
        The rows.
    positive : ndarray (groups, n) bool
        Whether a row's label is 1; the same for the problems of a group.
    counts : ndarray (groups, n)
        Whether a row counts, 0 or 1.
    penalty : ndarray (p, m)
        r of each weight and problem, at least 0.
    free : ndarray (p, m), optional
        1 for a weight that may be unequal 0, else 0; all may by default.
    tolerance
        A problem is solved when no component j of its gradient is above this share of what the
        rows' losses could make of it, |x_j| |g| with g their derivatives by x w. On rows that a
        plane separates these go to zero, and an absolute limit would stop far from the minimum.
    """
    groups, p = design.squares.shape
    m, c = penalty.shape[1], counts[:, :, None]
    free = np.ones_like(penalty) if free is None else free
    y = np.where(positive, 1.0, -1.0)[:, :, None]
    size = np.sqrt(design.squares)[:, :, None]
    weights, converged = np.zeros((groups, p, m)), np.zeros((groups, m), dtype=bool)
    going = np.arange(m)
    w, eta = weights, np.zeros((groups, len(positive[0]), m))
    for _ in range(_MAX_STEPS):
        r, f = penalty[:, going], free[:, going]
        wrong, curvature = _residuals(y, eta, c)
        gradient = (design.back(wrong) + r * w) * f
        limit = tolerance * np.sqrt((wrong * wrong).sum(1, keepdims=True))
        done = (np.abs(gradient) <= limit * size).all(1)
        weights[:, :, going], converged[:, going] = w, done
        left = ~done.all(0)
        if not left.any():
            break
        going, w, eta = going[left], w[:, :, left], eta[:, :, left]
        r, f, done = r[:, left], f[:, left], done[:, left]
        gradient, curvature = gradient[:, :, left], curvature[:, :, left]
        step = _newton_step(design, curvature, r, f, gradient, done)
        along = design.forward(step)
        slope = (gradient * step).sum(1)
        length = _step_length(y, c, eta, along, w, step, r, slope)
        w, eta = w + length * step, eta + length * along
    return Minimum(weights, converged)


def _residuals(y: np.ndarray, eta: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives of the rows' losses by x w, first and second."""
    probability = 1 / (1 + np.exp(np.minimum(y * eta, 700.0)))  # of the label that is not true
    return -c * y * probability, c * probability * (1 - probability)


def _loss(y: np.ndarray, c: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """Return the sums of the rows' losses (groups, m)."""
    margin = y * eta
    return (c * (np.log1p(np.exp(-np.abs(margin))) - np.minimum(margin, 0))).sum(1)


def _step_length(
    y: np.ndarray,
    c: np.ndarray,
    eta: np.ndarray,
    along: np.ndarray,
    w: np.ndarray,
    step: np.ndarray,
    r: np.ndarray,
    slope: np.ndarray,
) -> np.ndarray:
    """Return a length (groups, 1, m) of each step with which the objective falls, by halving."""
    here = _loss(y, c, eta)
    linear, square = (r * w * step).sum(1), 0.5 * (r * step * step).sum(1)
    length = np.ones((len(eta), 1, eta.shape[2]))
    slack = 1e-12 * np.abs(here)  # what rounding does to the objective
    for _ in range(_MAX_HALVINGS):
        t = length[:, 0]
        there = _loss(y, c, eta + length * along) + t * linear + t * t * square
        high = there > here + _ARMIJO * t * slope + slack
        if not high.any():
            break
        length[:, 0] = np.where(high, t / 2, t)
    return length


def _newton_step(
    design: Design,
    curvature: np.ndarray,
    r: np.ndarray,
    free: np.ndarray,
    gradient: np.ndarray,
    done: np.ndarray,
) -> np.ndarray:
    """Return minus the inverse second derivative times the gradient, approximately.

    Conjugate gradients, preconditioned by the diagonal that the second derivative has where all
    rows of a group are equally curved and columns are orthogonal; stopped where the remainder is a
    tenth of the gradient, or less close to the minimum.
    """
    mean = curvature.sum(1, keepdims=True) / np.maximum((curvature > 0).sum(1, keepdims=True), 1)
    inverse = free / (mean * design.squares[:, :, None] + r + np.finfo(float).tiny)
    step, rest = np.zeros_like(gradient), -gradient
    z = inverse * rest
    direction, inner = z.copy(), (rest * z).sum(1)
    start = inner.copy()
    open_ = ~done & (inner > 0)
    goal = np.minimum(0.01, np.sqrt(start / (1 + start))) * start
    for _ in range(_MAX_INNER):
        if not open_.any():
            break
        image = design.back(curvature * design.forward(direction)) + r * direction
        bent = (direction * image).sum(1)
        usable = open_ & (bent > 0)
        alpha = np.where(usable, inner / np.where(usable, bent, 1), 0)[:, None]
        step += alpha * direction
        rest -= alpha * image
        z = inverse * rest
        found = (rest * z).sum(1)
        open_ = usable & (found > goal)
        direction = (
            z + np.where(open_, found / np.where(inner > 0, inner, 1), 0)[:, None] * direction
        )
        inner = found
    return step
