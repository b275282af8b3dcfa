"""Dense codes against plain arithmetic: what sparse codes give, they give."""

from __future__ import annotations

import pytest
import torch

from saeflow.sae.sparse import dense
from saeflow.sae.sparse.codes import extract
from saeflow.sae.sparse.dense import DenseCodes
from saeflow.sae.steps.step import Workspace


def random_pre(n=700, d_sae=24):
    return torch.randn(n, d_sae, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("accelerator", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.4, "each"])
def test_dense_codes_do_what_sparse_codes_do(threshold, accelerator, monkeypatch):
    pre = random_pre()
    if threshold == "each":
        threshold = torch.linspace(0, 1, 24, dtype=torch.float64)
    sparse = extract(pre, threshold)
    codes = DenseCodes.above(pre.clone(), threshold, Workspace())
    if accelerator:
        monkeypatch.setattr(dense, "on_cpu", lambda x: False)
    assert torch.equal(codes.values, sparse.dense())
    assert len(codes) == len(sparse) and codes.n_active == sparse.n_active
    assert torch.equal(codes.by_latent.counts, sparse.by_latent.counts.long())
    g = torch.Generator().manual_seed(1)
    W_dec, right = (torch.randn(m, 5, generator=g, dtype=pre.dtype) for m in (24, 700))
    found, expected = codes.decode_with_pullback(W_dec), sparse.decode_with_pullback(W_dec)
    torch.testing.assert_close(found[0], expected[0])
    at_entries = codes.masked(found[1](right))
    d_values = sparse.with_values(expected[1](right))
    torch.testing.assert_close(at_entries, d_values.dense())
    torch.testing.assert_close(
        codes.by_latent.matmul(codes.values, right), sparse.by_latent.matmul(sparse.values, right)
    )
    torch.testing.assert_close(
        codes.by_latent.sum(at_entries), sparse.by_latent.sum(d_values.values)
    )
    per_latent = torch.arange(24, dtype=pre.dtype)
    scaled = codes.with_values(codes.values * codes.at_entries(per_latent))
    expected = sparse.with_values(sparse.values * sparse.at_entries(per_latent))
    assert torch.equal(scaled.values, expected.dense())
