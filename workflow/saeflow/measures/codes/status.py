"""Which latents of an SAE are compared with those of others, and which are counted only.

Cosines of its decoder rows are formed a tile at a time. Read `status_of`.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from saeflow.measures.codes import DEAD, DUPLICATE, LIVE, RARE

_TILE_ROWS = 2048
_ROUNDING = 1e-6
"""By how much the cosine of a row with itself may come out below 1, in float32."""


def status_of(
    W_dec: torch.Tensor, active: np.ndarray, *, least: int, duplicate: float
) -> dict[str, np.ndarray]:
    """Tell what each latent is.

    Parameters
    ----------
    W_dec
        (d_sae, d_in).
    active : ndarray (d_sae,) int64
        Tokens on which each latent is active.
    least
        Those of a latent that is not rare.
    duplicate
        The cosine with a latent that is active on more from which on one is a duplicate. Of
        two that are active on as many, the one with the higher number is.

    Returns
    -------
    dict
        Columns (d_sae,): ``status``, one of `saeflow.measures.codes.STATUSES`; ``twin`` int64, of
        a duplicate the latent with the largest cosine of those that are active on more, else -1;
        ``nearest`` float64, of a live latent the largest cosine with another one, else NaN.
    """
    d_sae = len(active)
    status = np.where(active == 0, DEAD, np.where(active < least, RARE, LIVE)).astype("<U9")
    twin, nearest = np.full(d_sae, -1), np.full(d_sae, np.nan)
    kept = np.flatnonzero(active >= max(least, 1))
    kept = kept[np.argsort(-active[kept], kind="stable")]
    found = _largest(W_dec, kept)
    double = found.before >= duplicate - _ROUNDING
    if double.any():
        status[kept[double]] = DUPLICATE
        twin[kept[double]] = kept[found.before_of[double]]
        kept = kept[~double]
        found = _largest(W_dec, kept)
    nearest[kept] = found.any
    nearest[np.isinf(nearest)] = np.nan  # of one that is alone
    return {"status": status, "twin": twin, "nearest": nearest}


class _Largest:
    """The largest cosines of each row with another.

    Attributes
    ----------
    before, before_of : ndarray (n,)
        With those before it, and which of them; -inf and -1 where none is.
    any : ndarray (n,) float64
        With any; -inf where there is none.
    """

    def __init__(self, n: int) -> None:
        self.before, self.any = np.full(n, -np.inf), np.full(n, -np.inf)
        self.before_of = np.full(n, -1)


def _largest(W_dec: torch.Tensor, rows: np.ndarray) -> _Largest:
    """Return the largest cosines of some rows with each other; each tile of them once."""
    found, starts = _Largest(len(rows)), range(0, len(rows), _TILE_ROWS)
    for start in starts:
        own = slice(start, min(start + _TILE_ROWS, len(rows)))
        directions = _directions(W_dec, rows[own])
        for first in range(0, start + 1, _TILE_ROWS):
            others = slice(first, min(first + _TILE_ROWS, len(rows)))
            cosines = directions @ _directions(W_dec, rows[others]).T
            if first == start:
                cosines.fill_diagonal_(-torch.inf)
                _raise(found.any[own], cosines.amax(1))
                above = torch.triu(torch.ones_like(cosines, dtype=torch.bool))
                cosines.masked_fill_(above, -torch.inf)
            else:
                _raise(found.any[own], cosines.amax(1))
                _raise(found.any[others], cosines.amax(0))
            largest, which = (part.cpu().numpy() for part in cosines.max(1))
            better = largest > found.before[own]
            found.before[own][better] = largest[better]
            found.before_of[own][better] = which[better] + first
    return found


def _raise(found: np.ndarray, values: torch.Tensor) -> None:
    np.maximum(found, values.cpu().numpy(), out=found)


def _directions(W_dec: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    """Return rows of length one; of length zero where they are zero."""
    own = W_dec.index_select(0, torch.from_numpy(rows).to(W_dec.device))
    return F.normalize(own.float(), dim=1)
