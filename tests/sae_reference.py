"""Plain dense autograd forms of the losses, to hold the fast steps against."""

from contextlib import contextmanager

import pytest
import torch
from hypothesis import assume
from hypothesis import strategies as st

from saeflow.sae.steps import backward
from saeflow.sae.steps.step import Batch, State, Workspace

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 20))
"""Rows of a batch, d_in, d_sae."""
PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-4)]
)
PATHS = pytest.mark.parametrize("path", ["sparse", "dense"])
"""The arithmetic that steps take: by active entries, or by dense products."""


@contextmanager
def taking(path):
    """Let steps take one of `PATHS`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backward, "SPARSE_BELOW", 2.0 if path == "sparse" else 0.0)
        yield


def random_weights(d_in, d_sae, *, seed, dtype, bias=0.1):
    g = torch.Generator().manual_seed(seed)
    return {
        "W_enc": torch.randn(d_sae, d_in, generator=g, dtype=dtype).T / d_in**0.5,
        "b_enc": bias * torch.randn(d_sae, generator=g, dtype=dtype),
        "W_dec": torch.randn(d_sae, d_in, generator=g, dtype=dtype) / d_in**0.5,
        "b_dec": 0.3 * torch.randn(d_in, generator=g, dtype=dtype),
    }


def batch_of(n, d_in, seed, dtype):
    """Return rows (n, d_in), the first of them empty where there are several."""
    x = torch.randn(n, d_in, generator=torch.Generator().manual_seed(seed + 1), dtype=dtype)
    if n > 1:
        x[0] = 0
    return x


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


def assert_step(loss, rule, weights, settings, x, tolerance, *, path="sparse", dead=None):
    """Hold the value and the gradients of the fast step against those of a plain ``loss``."""
    moved = {n: w.clone() for n, w in weights.items() if n not in rule.BUFFERS}
    with taking(path):
        terms, gradients = run_step(rule, weights, settings, x, dead=dead)
    expected, grads = autograd(loss, moved)
    assume(expected < 1e4)  # or the rows, or their errors, differ by rounding alone
    assert terms.loss == pytest.approx(expected, rel=tolerance)
    assert_close(gradients, grads, tolerance)


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
