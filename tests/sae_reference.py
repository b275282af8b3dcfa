"""Plain dense autograd forms of the losses, to hold the fast steps against."""

import torch

from saeflow.sae.steps.step import Batch, State, Workspace

NAMES = ("W_enc", "b_enc", "W_dec", "b_dec")


def random_weights(d_in, d_sae, *, seed, dtype, bias=0.1):
    g = torch.Generator().manual_seed(seed)
    w = {
        "W_enc": torch.randn(d_sae, d_in, generator=g, dtype=dtype).T / d_in**0.5,
        "b_enc": bias * torch.randn(d_sae, generator=g, dtype=dtype),
        "W_dec": torch.randn(d_sae, d_in, generator=g, dtype=dtype) / d_in**0.5,
        "b_dec": 0.3 * torch.randn(d_in, generator=g, dtype=dtype),
    }
    return w


def run_step(
    rule, weights, settings, x, *, tokens=0, total=0, dead=None, target=None, matmul_dtype="float32"
):
    """Return (terms, gradients) of the fast step."""
    moved = {n: w for n, w in weights.items() if n not in rule.BUFFERS}
    gradients = {n: torch.full_like(w, 7.0) for n, w in moved.items()}  # to be overwritten
    if dead is None:
        dead = torch.zeros(len(weights["W_dec"]), dtype=torch.bool)
    state = State(tokens, dead, Workspace(matmul_dtype), total)
    return rule.step(weights, gradients, settings, Batch(x, target), state), gradients


def autograd(loss, weights):
    """Return (loss value, gradients) of a function of the weights."""
    leaves = {n: w.detach().clone().requires_grad_() for n, w in weights.items()}
    value = loss(leaves)
    grads = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    return float(value.detach()), {
        n: torch.zeros_like(w) if g is None else g
        for (n, w), g in zip(leaves.items(), grads, strict=True)
    }


def assert_close(found, expected, tolerance):
    """Compare dictionaries of gradients, each relative to its largest entry.

    A gradient that is a sum of large terms which cancel cannot be more exact than the terms:
    one far below the others counts relative to a hundredth of the largest of all.
    """
    floor = 0.01 * max(float(reference.abs().max()) for reference in expected.values())
    for name, reference in expected.items():
        scale = max(float(reference.abs().max()), floor, 1e-12)
        worst = float((found[name] - reference).abs().max())
        assert worst <= tolerance * scale, f"{name}: {worst} against {scale}"
