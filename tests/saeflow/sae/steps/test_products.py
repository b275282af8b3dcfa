"""Dense products with rounded factors: by hand, and in a step against autograd that rounds too."""

from __future__ import annotations

import pytest
import torch

from sae_reference import assert_close, autograd, random_weights, run_step
from saeflow import registry
from saeflow.sae.model import ARCHITECTURES, architecture_settings
from saeflow.sae.steps import backward
from saeflow.sae.steps.step import Workspace


class Rounded(torch.autograd.Function):
    """``a @ b`` of factors rounded to bfloat16; of the gradients too, or of the product alone."""

    @staticmethod
    def forward(ctx, a, b, both_ways):
        ctx.save_for_backward(a, b)
        ctx.both_ways = both_ways
        return low(a) @ low(b)

    @staticmethod
    def backward(ctx, gradient):
        of = low if ctx.both_ways else lambda x: x
        a, b = ctx.saved_tensors
        return of(gradient) @ of(b).T, of(a).T @ of(gradient), None


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def low(x):
    return x.bfloat16().to(x.dtype)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_factors_are_rounded_and_results_are_not(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no GPU")
    tiny = 2.0**-9  # half of the last bit of 1 in bfloat16: 1 + tiny is rounded to 1
    a = torch.tensor([[1 + tiny, 1.0]], device=device)
    b = torch.tensor([[1.0], [tiny]], device=device)
    out, low = torch.empty(1, 1, device=device), Workspace("bfloat16")
    assert float(low.mm(a, b)) == 1 + tiny
    assert float(low.mm(a, b, out)) == float(out) == 1 + tiny
    assert float(Workspace().mm(a, b)) == 1 + 2 * tiny
    assert low.mm(a, b).dtype == torch.float32


def test_float32_products_are_torchs_to_the_last_bit():
    a, b = random(70, 33, dtype=torch.float32), random(50, 33, seed=1, dtype=torch.float32).T
    bias = random(50, seed=2, dtype=torch.float32)
    for work in (None, Workspace()):
        assert torch.equal(backward.encoder_product(b, None, a, work), torch.mm(a, b))
        assert torch.equal(backward.encoder_product(b, bias, a, work), torch.addmm(bias, a, b))
    assert torch.equal(Workspace().mm(a, b), a @ b)


def test_precisions_share_their_memory():
    plain, like = Workspace(), torch.zeros(1)
    rounding = plain.multiplying_in("bfloat16")
    assert plain.multiplying_in("float32") is plain
    assert rounding.matmul_dtype == "bfloat16" and plain.matmul_dtype == "float32"
    before = rounding.buffer("a", (3,), like)
    assert plain.buffer("a", (3,), like).data_ptr() == before.data_ptr()


@pytest.mark.parametrize("dense", [True, False])
def test_a_relu_step_rounds_the_factors_of_its_dense_products_alone(dense, monkeypatch):
    monkeypatch.setattr(backward, "SPARSE_BELOW", 0.0 if dense else 1.0)
    rule = registry.load(ARCHITECTURES, "relu")
    weights = random_weights(6, 20, seed=1, dtype=torch.float64)
    x = random(40, 6)

    def loss(w):
        f = (Rounded.apply(x, w["W_enc"], dense) + w["b_enc"]).relu()
        x_hat = Rounded.apply(f, w["W_dec"], True) if dense else f @ w["W_dec"]
        return (x_hat + w["b_dec"] - x).square().mean() + 0.1 * f.sum(1).mean()

    settings = architecture_settings("relu", {"l1": 0.1})
    terms, found = run_step(rule, weights, settings, x, matmul_dtype="bfloat16")
    value, gradients = autograd(loss, weights)
    assert terms.loss == pytest.approx(value, rel=1e-9)
    assert_close(found, gradients, 1e-9)
    exact, _ = run_step(rule, weights, settings, x)
    assert exact.loss != terms.loss


def test_auxk_rounds_the_factors_of_its_products():
    rule = registry.load(ARCHITECTURES, "topk")
    weights = random_weights(6, 20, seed=2, dtype=torch.float64)
    x = random(40, 6)
    dead = torch.arange(20) < 8
    settings = architecture_settings("topk", {"k": 20, "aux_k": 8, "subtract_b_dec": False})

    def loss(w):
        f = (Rounded.apply(x, w["W_enc"], False) + w["b_enc"]).relu()
        error = f @ w["W_dec"] + w["b_dec"] - x
        left = -error.detach()
        ghosts = (Rounded.apply(x, w["W_enc"][:, dead], True) + w["b_enc"][dead]).relu()
        aux = (Rounded.apply(ghosts, w["W_dec"][dead], True) - left).square().sum()
        spread, variance = ((y - y.mean(0)).square().sum() for y in (left, x))
        return error.square().sum() / variance + aux / spread / 32

    terms, found = run_step(rule, weights, settings, x, dead=dead, matmul_dtype="bfloat16")
    value, gradients = autograd(loss, weights)
    assert terms.loss == pytest.approx(value, rel=1e-9)
    assert_close(found, gradients, 1e-9)
