"""First weights."""

from __future__ import annotations

import torch

from saeflow.sae.steps.initial import center, directions, transposed


def test_centres_of_a_batch():
    x = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0], [1.0, 1.0]])
    assert center("zero", x).tolist() == [0, 0]
    torch.testing.assert_close(center("mean", x), torch.ones(2))
    torch.testing.assert_close(center("median", x), torch.ones(2), atol=1e-4, rtol=0)


def test_a_huge_activation_does_not_move_the_geometric_median():
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    moved = torch.cat([x, torch.full((2, 3), 1e5)])
    change = (center("median", moved) - center("median", x)).norm()
    assert float(change) < 0.05 < float((center("mean", moved) - center("mean", x)).norm())


def test_the_geometric_median_of_small_activations_is_as_exact():
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).exp()
    torch.testing.assert_close(center("median", 1e-3 * x), 1e-3 * center("median", x))


def test_directions_are_unit_rows_that_follow_the_seed():
    like = torch.zeros(1)
    a, b, c = (
        directions(9, 4, generator=torch.Generator().manual_seed(s), like=like) for s in (0, 0, 1)
    )
    assert torch.equal(a, b) and not torch.equal(a, c)
    torch.testing.assert_close(a.norm(dim=1), torch.ones(9))


def test_a_transpose_has_memory_of_its_own():
    W = torch.ones(3, 2)
    other = transposed(W)
    other.mul_(2)
    assert other.shape == (2, 3) and other.T.is_contiguous() and float(W.sum()) == 6
