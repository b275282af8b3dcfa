"""Toys: activations that are sums of known features, and SAEs that are trained on them.

A toy's activations are x = sum_i z_i g_i w_i with z_i in {0, 1}. Its SAE begins at the truth (a
latent per feature, in the feature's direction), since the theory is about the minimum of the loss
and not about the way there, and the penalty rises over the first half of the run: a latent that
one step too many puts out has no gradient to come back by. Read `Features` and `train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from saeflow.sae.architectures import relu
from saeflow.sae.steps.initial import transposed
from saeflow.sae.steps.step import Batch, State, Workspace
from saeflow.sae.training.optim import Adam, normalise, remove_parallel

N_STEPS = 1000
_RATE = 0.01

ENCODER = ("W_enc", "b_enc")
WITH_BIAS = (*ENCODER, "b_dec")
EVERYTHING = (*WITH_BIAS, "W_dec")


class Features(NamedTuple):
    """Binary features and the tokens that have them."""

    z: np.ndarray
    """(n_tokens, n): 1.0 where a token has a feature, else 0.0."""
    g: np.ndarray
    """(n,): strengths."""
    directions: np.ndarray
    """(n, d): unit rows."""

    @property
    def p(self) -> np.ndarray:
        """Share of the tokens that have each feature, (n,)."""
        return self.z.mean(0)

    @property
    def together(self) -> np.ndarray:
        """Share of the tokens that have both of two features, (n, n)."""
        return self.z.T @ self.z / len(self.z)

    @property
    def x(self) -> Tensor:
        """The activations, (n_tokens, d) float32."""
        return torch.from_numpy((self.z * self.g) @ self.directions).float()

    def mean_where_there(self, f: np.ndarray) -> np.ndarray:
        """Return the mean of each latent (n,) over the tokens that have its feature."""
        return (f * self.z).sum(0) / self.z.sum(0)


def presence(p: Sequence[float], n_tokens: int, random: np.random.Generator) -> np.ndarray:
    """Draw which tokens have which features: each the wanted share of them, independently."""
    z = np.zeros((n_tokens, len(p)))
    for i, rate in enumerate(p):
        z[random.permutation(n_tokens)[: max(1, round(rate * n_tokens))], i] = 1.0
    return z


def overlapping(n: int, d: int, overlap: float) -> np.ndarray:
    """Return ``n`` unit rows (n, d) of which any two have the cosine ``overlap``; n < d."""
    rows = np.zeros((n, d))
    rows[:, 0] = np.sqrt(overlap)
    rows[np.arange(n), 1 + np.arange(n)] = np.sqrt(1 - overlap)
    return rows


def train(features: Features, c: float, trained: Sequence[str]) -> np.ndarray:
    """Train a ReLU SAE and return its latents, (n_tokens, n).

    Parameters
    ----------
    features
        What it is trained on, all tokens at each step.
    c
        Coefficient of the penalty.
    trained
        Names of the weights that move: `ENCODER`, `WITH_BIAS` or `EVERYTHING`.
    """
    x, W = features.x, torch.from_numpy(features.directions).float()
    half = len(x) * N_STEPS // 2
    settings = relu.Settings(l1=c, l1_warmup_tokens=half)
    weights = {
        "W_enc": transposed(torch.linalg.pinv(W).T),
        "b_enc": torch.zeros(len(W)),
        "W_dec": W.clone(),
        "b_dec": torch.zeros(W.shape[1]),
    }
    gradients = {name: torch.zeros_like(w) for name, w in weights.items()}
    adam = Adam(*({name: part[name] for name in trained} for part in (weights, gradients)))
    dead, work = torch.zeros(len(W), dtype=torch.bool), Workspace()
    for step in range(N_STEPS):
        state = State(step * len(x), dead, work, len(x) * N_STEPS)
        relu.step(weights, gradients, settings, Batch(x), state)
        remove_parallel(gradients["W_dec"], weights["W_dec"])
        adam.step(_rate(step))
        if "W_dec" in trained:
            normalise(weights["W_dec"])
    return relu.encode_sparse(weights, settings, x).dense().double().numpy()


def train_sizes(features: Features, c: float) -> np.ndarray:
    """Train nothing but the size of each latent, and return the sizes, (n,).

    The codes are f = z a: an encoder could make a latent smaller where others are active, which
    the theory does not let it.
    """
    z, W = (torch.from_numpy(part).float() for part in (features.z, features.directions))
    x, a = features.x, torch.from_numpy(features.g).float().requires_grad_()
    optimizer = torch.optim.Adam([a])
    for step in range(N_STEPS):
        f = z * a.relu()
        now = c * min(1.0, 2 * step / N_STEPS)
        loss = (f @ W - x).square().mean() + now * f.sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = _rate(step)
        optimizer.step()
    return a.detach().relu().double().numpy()


def _rate(step: int) -> float:
    """Return the step size: it falls to nothing over the run."""
    return _RATE * (1 - step / N_STEPS)
