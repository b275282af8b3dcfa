"""Exact selection of the largest positive pre-activations, of each row or of a whole batch.

Ties at the border go to the latent with the lower number (in a batch, to the earlier input), so
that a selection never depends on the device, and that of a row not on the others. Read `top_k`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from saeflow.sae.sparse.codes import Codes, at_places, extract
from saeflow.sae.sparse.rows import each_block, flat_nonzero, on_cpu

# Groups per selected latent: more groups leave fewer candidates, fewer make the first look
# cheaper. Measured flat between 2 and 8 for d_sae 512 to 16384.
_GROUPS_PER_K = 4

# Times as many entries as wanted that a guessed border may leave, before it is found anew.
_CANDIDATES = 4


def top_k(pre: Tensor, k: int, *, bias: Tensor | None = None) -> Codes:
    """Return the codes ReLU(top_k(pre + bias)) of each row, ``pre`` (n, d_sae), ``bias`` (d_sae,).

    At most ``k`` latents are active in a row; fewer where fewer are positive. The bias is added to
    ``pre`` in place, which costs less here than in the product before.
    """
    if not on_cpu(pre):
        return _top_k_of_device(pre if bias is None else pre.add_(bias), k)
    addend = None if bias is None else bias.to(pre.dtype).numpy()

    # The k-th largest maximum over groups of latents cannot exceed the k-th largest entry, so
    # that it is a bound that keeps the right entries and few others; these candidates are then
    # selected exactly. The first look reads each entry once and sorts nothing.
    def candidates(block: np.ndarray, first: int) -> np.ndarray:
        if addend is not None:
            np.add(block, addend, out=block)
        return flat_nonzero(block >= _lower_bound(block, k)) + first * block.shape[1]

    pre = pre.contiguous()
    return _trim(at_places(pre, each_block(pre.numpy(), candidates)), k)


def _lower_bound(block: np.ndarray, k: int) -> np.ndarray:
    """Return (m, 1): a bound above zero that the wanted positive entries reach."""
    m, d = block.shape
    above_zero = np.nextafter(block.dtype.type(0), block.dtype.type(1))
    if k >= d:
        return np.full((m, 1), above_zero)
    # Positive numbers are ordered as their bits are, read as integers, and negative ones are
    # below them, in another order that does not matter here: comparing integers is faster.
    maxima = group_maxima(block.view(f"i{block.itemsize}"), _GROUPS_PER_K * k)
    place = maxima.shape[1] - k
    maxima.partition(place, axis=1)
    return np.maximum(maxima[:, place, None].copy().view(block.dtype), above_zero)


def group_maxima(block: np.ndarray, n_groups: int) -> np.ndarray:
    """Return the maxima of at least ``n_groups`` groups of each row, (m, some), a copy.

    ``block`` is (m, d); where d is smaller than ``n_groups``, each entry is a group.
    """
    m, d = block.shape
    size = max(1, d // n_groups)
    width = d // size
    maxima = np.maximum.reduce(block[:, : size * width].reshape(m, size, width), axis=1)
    rest = d - size * width  # (d mod n_groups) mod size, so there are groups enough to take it
    np.maximum(maxima[:, :rest], block[:, size * width :], out=maxima[:, :rest])
    return maxima


def _trim(codes: Codes, k: int) -> Codes:
    """Keep the k largest entries of each row; the first of equal ones."""
    values, counts = codes.values.numpy(), codes.counts.numpy()
    width = int(counts.max(initial=0))
    if width <= k:
        return codes
    padded = np.full((len(counts), width), -np.inf, values.dtype)
    padded[np.arange(width) < counts[:, None]] = values
    padded.partition(width - k, axis=1)
    keep = values >= np.repeat(padded[:, width - k], counts)
    starts = codes.offsets.numpy()
    n_kept = np.diff(_before(keep)[starts])
    for row in np.flatnonzero(n_kept > k):
        own = slice(starts[row], starts[row + 1])
        order = np.argsort(-values[own], kind="stable")
        keep[own] = False
        keep[starts[row] + order[:k]] = True
    chosen = np.flatnonzero(keep)
    parts = values.take(chosen), codes.index.numpy().take(chosen), _before(keep)[starts]
    return Codes(*map(torch.from_numpy, parts), codes.d_sae)


def _before(keep: np.ndarray) -> np.ndarray:
    """Return how many of ``keep`` (n,) bool are true before each place, (n + 1,) int32."""
    before = np.zeros(len(keep) + 1, np.int32)
    np.cumsum(keep, out=before[1:])
    return before


def keep_top_k(pre: Tensor, k: int) -> Tensor:
    """Set all but the k largest positive entries of each row of ``pre`` (n, m) to zero, in place.

    For a matrix of which most is kept; the entries kept are those of `top_k`.
    """
    if k >= pre.shape[1]:
        return pre.clamp_(min=0)
    if not on_cpu(pre):
        return top_k(pre, k).dense()

    def keep(block: np.ndarray, _: int) -> None:
        place = block.shape[1] - k
        kth = np.partition(block, place, axis=1)[:, place, None]
        mask = block >= kth
        for row in np.flatnonzero(np.count_nonzero(mask, axis=1) > k):
            order = np.argsort(-block[row], kind="stable")
            mask[row, order[k:]] = False
        np.maximum(block, 0, out=block)
        np.multiply(block, mask, out=block)

    each_block(pre.numpy(), keep)
    return pre


def batch_top_k(pre: Tensor, n_wanted: int, *, guess: float = 0.0) -> Codes:
    """Return as codes at most ``n_wanted`` largest positive entries of a whole batch (n, d_sae).

    ``guess`` is about where the border will be. A good one saves a look at all entries; the result
    is the same for any.
    """
    codes = extract(pre, guess, at_most=_CANDIDATES * n_wanted / pre.numel()) if guess > 0 else None
    if codes is None or codes.n_active < n_wanted:
        codes = extract(pre, _batch_bound(pre, n_wanted), equal=True)
    if codes.n_active <= n_wanted:
        return codes
    border = _nth_largest(codes.values, n_wanted)
    keep = codes.values > border
    tied = (codes.values == border).nonzero().squeeze(1)
    keep[tied[: n_wanted - int(keep.sum())]] = True
    return codes.part(keep)


def _batch_bound(pre: Tensor, n_wanted: int) -> float:
    """Return a bound above zero that the ``n_wanted`` largest entries reach.

    The n-th largest maximum over groups of entries cannot exceed the n-th largest entry.
    """
    above_zero = float(torch.nextafter(pre.new_zeros(()), pre.new_ones(())))
    if n_wanted >= pre.numel():
        return above_zero
    per_row = -(-_GROUPS_PER_K * n_wanted // len(pre))
    if on_cpu(pre):
        parts = each_block(pre.numpy(), lambda block, _: group_maxima(block, per_row))
        maxima = torch.from_numpy(np.concatenate(parts))
    else:
        maxima = pre
    return max(_nth_largest(maxima.view(-1), n_wanted), above_zero)


def _nth_largest(values: Tensor, n: int) -> float:
    """Return the n-th largest of ``values`` (m,), which is the same however it is found."""
    if on_cpu(values):  # torch sorts what it selects: five times as slow
        place = len(values) - n
        return float(np.partition(values.numpy(), place)[place])
    return float(torch.topk(values, n, sorted=True).values[-1])


def _top_k_of_device(pre: Tensor, k: int) -> Codes:
    """Do as `top_k` on an accelerator; rows with a tie at the border are rare and sorted."""
    if k >= pre.shape[1]:
        return extract(pre, 0.0)
    kth = torch.topk(pre, k, dim=1, sorted=True).values[:, -1:]
    kth = kth.clamp_(min=0)
    kth = torch.where(kth > 0, kth, torch.nextafter(kth, kth + 1))  # positive ones alone
    tied = (pre >= kth).sum(1) > k
    if bool(tied.any()):
        order = pre[tied].argsort(dim=1, descending=True, stable=True)
        pre = pre.clone()
        pre[tied] = pre[tied].scatter(1, order[:, k:], -torch.inf)
    return extract(pre, kth, equal=True)
