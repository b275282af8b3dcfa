"""The sums behind closed forms, against dense arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saeflow.finetune import normal
from saeflow.finetune.normal import NormalEquations
from saeflow.sae.sparse.codes import extract


@pytest.mark.parametrize(("share", "mkl"), [(0.0, True), (1.0, True), (1.0, False)])
@pytest.mark.parametrize("density", [0.0, 0.03, 0.6])
def test_sums_are_those_of_dense_codes_by_any_road(density, share, mkl, monkeypatch):
    monkeypatch.setattr(normal, "_DENSE_ABOVE", share)
    if not mkl:
        monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: False)
    generator = torch.Generator().manual_seed(0)
    pre, x = (torch.randn(40, width, generator=generator) for width in (30, 5))
    pre = torch.where(torch.rand(40, 30, generator=generator) < density, pre.abs() + 0.1, -1.0)
    sums = NormalEquations(30, 5)
    for rows in (slice(0, 25), slice(25, 40)):
        sums.add(extract(pre[rows], 0.0), x[rows])
    f, x = pre.clamp(min=0).double().numpy(), x.double().numpy()
    np.testing.assert_allclose(sums.G, f.T @ f, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(sums.C, f.T @ x, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(sums.f, f.sum(0), rtol=1e-13)
    np.testing.assert_allclose(sums.x, x.sum(0), rtol=1e-12)
    assert sums.xx == pytest.approx(np.square(x).sum(), rel=1e-13)
    assert sums.active.tolist() == (f > 0).sum(0).tolist()
    assert sums.n == 40
