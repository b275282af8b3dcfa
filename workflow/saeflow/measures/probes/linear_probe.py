"""Linear probes: multinomial logistic regression on activations or on sparse latents.

`fit_probe` fits one, `Probe.answers` holds what it reads against the truth. Everything is float64,
and computed by one thread: the order of a sum must not depend on the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

INVERSE_PENALTY = 0.03
"""Inverse strength of the L2 penalty, of inputs at unit size and the sum of the rows' losses."""

_MAX_STEPS = 2000


class Probe(NamedTuple):
    """A linear reader of classes.

    Attributes
    ----------
    weights : ndarray (n_classes, d) float64
    bias : ndarray (n_classes,) float64
    """

    weights: np.ndarray
    bias: np.ndarray

    def log_probabilities(self, x: np.ndarray | csr_matrix) -> np.ndarray:
        """Return the log-probability (n, n_classes) of each class for inputs x (n, d)."""
        from scipy.special import log_softmax
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, user_api="blas"):
            logits = x.astype(np.float64) @ self.weights.T + self.bias
        return log_softmax(logits, axis=1)

    def answers(self, x: np.ndarray | csr_matrix, labels: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the probe gets of each input x (n, d), as `answers`."""
        return answers(self.log_probabilities(x), labels)


def answers(log_probabilities: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return what log-probabilities (n, n_classes) say of true classes (n,).

    ``correct`` (n,) float64 is 1 where the likeliest class is the true one, of equals the first;
    ``loss`` (n,) float64 minus the log-probability of the true class, in nats.
    """
    true = np.take_along_axis(log_probabilities, labels[:, None], axis=1)[:, 0]
    correct = log_probabilities.argmax(axis=1) == labels
    return {"correct": correct.astype(np.float64), "loss": -true}


def fit_probe(
    x: np.ndarray | csr_matrix, labels: np.ndarray, *, inverse_penalty: float = INVERSE_PENALTY
) -> Probe:
    """Fit a probe.

    Parameters
    ----------
    x : (n, d)
        A dense array is standardised. Of a sparse one each column is divided by its root mean
        square, which keeps it sparse; a column of zeros gets no weight.
    labels : (n,) integers
        Classes 0 to at least 1, each with an input.
    inverse_penalty
        Weight of the rows' losses beside half the squared weights.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    x = x.astype(np.float64)
    mean, scale = _size(x)
    model = LogisticRegression(C=inverse_penalty, max_iter=_MAX_STEPS)
    with threadpool_limits(1, user_api="blas"):
        model.fit((x - mean) / scale if isinstance(x, np.ndarray) else _divided(x, scale), labels)
    weights, bias = model.coef_, model.intercept_
    if len(weights) == 1:  # of two classes scikit-learn gives the logit of the second
        weights, bias = (np.concatenate([np.zeros_like(a), a]) for a in (weights, bias))
    weights = weights / scale
    return Probe(weights, bias - weights @ mean)


def _size(x: np.ndarray | csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return what is taken off each column and what it is divided by, (d,) float64."""
    if isinstance(x, np.ndarray):
        mean, scale = x.mean(0), x.std(0)
    else:
        scale = np.sqrt(np.asarray(x.multiply(x).mean(0)).ravel())
        mean = np.zeros(x.shape[1])
    return mean, np.where(scale > 0, scale, 1.0)


def _divided(x: csr_matrix, scale: np.ndarray) -> csr_matrix:
    divided = x.copy()
    divided.data /= scale[x.indices]
    return divided
