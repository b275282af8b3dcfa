"""Exact selection of the k largest positive pre-activations of each row.

Ties at the border go to the latent with the lower number, so that a selection never depends on
the device or on the other rows of a batch. Read `top_k`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from saeflow.sae.codes import Codes, extract, on_cpu, where

# Groups per selected latent: more groups leave fewer candidates, fewer make the first look
# cheaper. Measured flat between 2 and 8 for d_sae 512 to 16384.
_GROUPS_PER_K = 4


def top_k(pre: Tensor, k: int) -> Codes:
    """Return the codes ReLU(top_k(pre)) of each row.

    Parameters
    ----------
    pre
        (n, d_sae): pre-activations.
    k
        At most this many latents are active in a row; fewer where fewer are positive.

    Notes
    -----
    The k-th largest maximum over groups of latents cannot exceed the k-th largest entry, so that
    it is a threshold that keeps the right entries and few others; these candidates are then
    selected exactly. The first look reads each entry once and sorts nothing.
    """
    lower = _lower_bound(pre, k)
    codes = extract(pre, lower)
    return codes if _largest(codes.counts) <= k else _trim(codes, k)


def _largest(counts: Tensor) -> int:
    return int(counts.max()) if len(counts) else 0


def _lower_bound(pre: Tensor, k: int) -> Tensor:
    """Return (n, 1): a bound that the wanted entries exceed (never below zero)."""
    n, d_sae = pre.shape
    if k >= d_sae:
        return pre.new_zeros(n, 1)
    size = 1
    while d_sae % (2 * size) == 0 and d_sae // (2 * size) >= _GROUPS_PER_K * k:
        size *= 2
    maxima = pre if size == 1 else pre.view(n, size, d_sae // size).amax(1)
    kth = kth_largest(maxima, k)
    # "larger than" must keep the k-th entry itself
    return torch.nextafter(kth, kth.new_full((), -torch.inf)).clamp_(min=0)


def kth_largest(x: Tensor, k: int) -> Tensor:
    """Return the k-th largest entry of each row of ``x`` (n, m), as (n, 1)."""
    m = x.shape[1]
    if on_cpu(x):  # NumPy's vectorised quickselect: four times as fast as topk
        return torch.from_numpy(np.partition(x.numpy(), m - k, axis=1)[:, m - k, None].copy())
    return torch.topk(x, k, dim=1, sorted=True).values[:, -1:]


def _trim(codes: Codes, k: int) -> Codes:
    """Keep the k largest entries of each row; the first of equal ones."""
    n, width = len(codes), _largest(codes.counts)
    # the place of entry e of row t in a matrix of this width: t * width + e - offsets[t]
    shift = torch.arange(0, n * width, width, device=codes.offsets.device) - codes.offsets[:-1]
    place = shift.repeat_interleave(codes.counts)
    place += torch.arange(len(place), device=place.device)
    padded = codes.values.new_full((n, width), -torch.inf)
    padded.view(-1).index_copy_(0, place, codes.values)
    keep = (padded >= kth_largest(padded, k)).logical_and_(padded > -torch.inf)
    n_kept = keep.sum(1, dtype=torch.int32)
    tied = n_kept > k
    if bool(tied.any()):
        order = padded[tied].argsort(dim=1, descending=True, stable=True)
        first = torch.zeros_like(keep[tied]).scatter_(1, order[:, :k], True)
        keep[tied] = keep[tied] & first
        n_kept = keep.sum(1, dtype=torch.int32)
    kept = where(keep.view(-1).index_select(0, place))
    offsets = torch.zeros_like(codes.offsets)
    torch.cumsum(n_kept, 0, dtype=torch.int32, out=offsets[1:])
    values, index = codes.values.index_select(0, kept), codes.index.index_select(0, kept)
    return Codes(values, index, offsets, codes.d_sae)
