"""Adam, the schedule and the unit-norm constraint."""

from __future__ import annotations

import pytest
import torch

from saeflow.sae.optim import Adam, learning_rate, normalise, remove_parallel


def trajectory(weights, gradients, *, stop=None):
    adam = Adam(weights, gradients)
    g = torch.Generator().manual_seed(0)
    for i in range(6):
        for name in weights:
            gradients[name].copy_(torch.randn(weights[name].shape, generator=g))
        if i == stop:
            moments = {n: m.clone() for n, m in adam.moments.items()}
            adam = Adam(weights, gradients)
            adam.load(moments, i)
        adam.step(0.01 * (i + 1))
    return weights


def fresh():
    weights = {"a": torch.ones(5, 3).T, "b": torch.ones(4)}
    return weights, {n: torch.zeros_like(w) for n, w in weights.items()}


def test_the_weights_move_as_torch_moves_them_also_those_kept_transposed():
    found = trajectory(*fresh())
    leaves = [torch.ones(3, 5, requires_grad=True), torch.ones(4, requires_grad=True)]
    optimizer = torch.optim.Adam(leaves, lr=0.0)
    g = torch.Generator().manual_seed(0)
    for i in range(6):
        optimizer.param_groups[0]["lr"] = 0.01 * (i + 1)
        for leaf in leaves:
            leaf.grad = torch.randn(leaf.shape, generator=g)
        optimizer.step()
    torch.testing.assert_close(found["a"], leaves[0].detach())
    torch.testing.assert_close(found["b"], leaves[1].detach())


def test_moments_carry_a_run_on_to_the_same_bits():
    whole, resumed = trajectory(*fresh()), trajectory(*fresh(), stop=3)
    assert all(torch.equal(whole[n], resumed[n]) for n in whole)


@pytest.mark.parametrize(
    ("tokens", "expected"), [(0, 0.5), (10, 1.0), (60, 1.0), (80, 1.0), (90, 0.5)]
)
def test_the_learning_rate_rises_and_falls_with_the_tokens(tokens, expected):
    found = learning_rate(2.0, tokens=tokens, batch=10, total=100, warmup=20, decay=20)
    assert found == pytest.approx(2 * expected)


def test_the_learning_rate_is_constant_without_a_schedule():
    for tokens in (0, 50, 99):
        assert learning_rate(2.0, tokens=tokens, batch=1, total=100, warmup=0, decay=0) == 2.0


def test_a_gradient_without_its_parallel_part_is_orthogonal_to_the_rows():
    rows, gradient = torch.randn(7, 4), torch.randn(7, 4)
    normalise(rows)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(7))
    remove_parallel(gradient, rows)
    assert float((gradient * rows).sum(1).abs().max()) < 1e-6
