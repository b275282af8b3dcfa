"""Plain dense forms of what the top-k family selects and minimises."""

from __future__ import annotations

import torch

from sae_reference import batch_of, random_weights


def of_batch(pre, n_wanted):
    """ReLU of the largest entries of a batch; the first of equal ones."""
    flat = pre.detach().flatten().argsort(descending=True, stable=True)[:n_wanted]
    mask = torch.zeros(pre.numel(), dtype=pre.dtype).scatter(0, flat, 1.0)
    return torch.relu(pre) * mask.view(pre.shape)


def top(pre, k):
    """ReLU of the k largest entries of each row."""
    order = pre.detach().argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.relu(pre) * torch.zeros_like(pre).scatter(1, order, 1.0)


def pre_of(w, options, x):
    """Pre-activations."""
    return (x - w["b_dec"] if options.subtract_b_dec else x) @ w["W_enc"] + w["b_enc"]


def aux(w, options, x, x_hat, dead):
    """Return AuxK with its coefficient."""
    if not dead.any():
        return 0.0
    e = (x - x_hat).detach()
    aux_k = options.aux_k or max(1, x.shape[1] // 2)
    e_hat = top(pre_of(w, options, x)[:, dead], aux_k) @ w["W_dec"][dead]
    return options.aux_coef * (e - e_hat).square().sum() / (e - e.mean(0)).square().sum()


def prepared(shape, seed, dtype, bias, threshold=0.0):
    """Return weights with a threshold, and a batch whose first row is empty."""
    n, d_in, d_sae = shape
    weights = random_weights(d_in, d_sae, seed=seed, dtype=dtype)
    weights["b_enc"] += bias
    x = batch_of(n, d_in, seed, dtype)
    return {**weights, "threshold": torch.full((d_sae,), threshold, dtype=dtype)}, x
