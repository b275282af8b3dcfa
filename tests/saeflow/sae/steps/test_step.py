"""What a step is given, against plain arithmetic."""

from __future__ import annotations

import pytest
import torch

from saeflow.sae.steps import step
from saeflow.sae.steps.step import Batch, Workspace, variance


@pytest.mark.parametrize("accelerator", [False, True])
@pytest.mark.parametrize("n", [1, 3, 1000])
def test_the_variance_of_a_batch_is_that_of_its_target(n, accelerator, monkeypatch):
    if accelerator:
        monkeypatch.setattr(step, "on_cpu", lambda x: False)
    x, y = torch.randn(n, 5).double() + 100, torch.randn(n, 7).double() - 100
    expected = float((y - y.mean(0)).square().sum())
    assert variance(y) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert Batch(x, y).variance == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert Batch(y).target is y and len(Batch(x, y)) == n


def test_scratch_memory_is_given_out_again_by_name_shape_and_kind():
    workspace, like = Workspace(), torch.zeros(1)
    first = workspace.buffer("a", (2, 3), like)
    assert workspace.buffer("a", (2, 3), like) is first
    others = [
        workspace.buffer("b", (2, 3), like),
        workspace.buffer("a", (3, 2), like),
        workspace.buffer("a", (2, 3), like.double()),
        workspace.buffer("a", (2, 3), like, torch.bool),
    ]
    assert len({t.data_ptr() for t in [first, *others]}) == 5
    assert [t.dtype for t in others[2:]] == [torch.float64, torch.bool]
