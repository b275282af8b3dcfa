"""Adam, clipping and the unit-norm constraint."""

from __future__ import annotations

import pytest
import torch

from saeflow.sae.training import optim
from saeflow.sae.training.optim import Adam, clip, normalise, remove_parallel


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


@pytest.mark.parametrize("options", [{"betas": (0.0, 0.99)}, {"epsilon": 0.1}])
def test_betas_and_epsilon_are_those_of_adam(options):
    weights, gradients = {"a": torch.ones(3)}, {"a": torch.zeros(3)}
    adam = Adam(weights, gradients, **options)
    leaf = torch.ones(3, requires_grad=True)
    torchs = {"betas": options.get("betas", (0.9, 0.999)), "eps": options.get("epsilon", 1e-8)}
    optimizer = torch.optim.Adam([leaf], lr=0.1, **torchs)
    for i in range(4):
        leaf.grad = torch.randn(3, generator=torch.Generator().manual_seed(i))
        gradients["a"].copy_(leaf.grad)
        optimizer.step()
        adam.step(0.1)
    torch.testing.assert_close(weights["a"], leaf.detach())


def test_forgotten_rows_start_anew_and_no_others():
    weights = {"a": torch.ones(5, 3).T, "b": torch.ones(5)}
    gradients = {name: torch.ones_like(w) for name, w in weights.items()}
    adam = Adam(weights, gradients)
    adam.step(0.1)
    for name in weights:
        adam.forget(name, torch.tensor([1, 4]))
    for name, moment in adam.moments.items():
        kept = moment.abs().reshape(5, -1).sum(1) > 0
        assert kept.tolist() == [True, False, True, True, False], name


def test_clipping_is_torchs_over_all_gradients_together():
    g = torch.Generator().manual_seed(0)
    gradients = {"a": torch.randn(4, 3, generator=g).T, "b": torch.randn(5, generator=g)}
    leaves = [torch.zeros(3, 4, requires_grad=True), torch.zeros(5, requires_grad=True)]
    for limit in (100.0, 0.5):
        for leaf, gradient in zip(leaves, gradients.values(), strict=True):
            leaf.grad = gradient.clone()
        expected = torch.nn.utils.clip_grad_norm_(leaves, limit)
        assert clip(gradients, limit) == pytest.approx(float(expected))
        for leaf, gradient in zip(leaves, gradients.values(), strict=True):
            torch.testing.assert_close(gradient, leaf.grad)
    total = sum(float(gradient.square().sum()) for gradient in gradients.values())
    assert total == pytest.approx(0.25)


def test_clipping_does_not_depend_on_the_order_of_the_gradients():
    g = torch.Generator().manual_seed(3)
    first = {str(i): torch.randn(50 + i, generator=g) for i in range(9)}
    second = {name: first[name].clone() for name in reversed(first)}
    assert clip(first, 0.1) == clip(second, 0.1)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_gradients_of_zero_stay_so():
    gradients = {"a": torch.zeros(3)}
    assert clip(gradients, 1.0) == 0 and not gradients["a"].any()


@pytest.mark.parametrize("accelerator", [False, True])
@pytest.mark.parametrize("n", [7, 600])
def test_a_gradient_without_its_parallel_part_is_orthogonal_to_the_rows(
    n, accelerator, monkeypatch
):
    if accelerator:
        monkeypatch.setattr(optim, "on_cpu", lambda x: False)
    g = torch.Generator().manual_seed(n)
    rows, gradient = torch.randn(n, 4, generator=g), torch.randn(n, 4, generator=g)
    normalise(rows)
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(n))
    remove_parallel(gradient, rows)
    assert float((gradient * rows).sum(1).abs().max()) < 1e-6
