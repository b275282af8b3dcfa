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
    before, before_of, nearest[kept] = _largest(W_dec, kept)
    double = before >= duplicate - _ROUNDING
    if double.any():
        status[kept[double]], nearest[kept[double]] = DUPLICATE, np.nan
        twin[kept[double]] = kept[before_of[double]]
        kept = kept[~double]
        nearest[kept] = _largest(W_dec, kept)[2]
    nearest[np.isinf(nearest)] = np.nan  # of one that is alone
    return {"status": status, "twin": twin, "nearest": nearest}


def _largest(W_dec: torch.Tensor, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the largest cosine of each of some rows with those before it, which, and with any.

    (n,) each; -inf and -1 where there is none. Each tile of cosines is formed once.
    """
    before, nearest = np.full((2, len(rows)), -np.inf)
    before_of = np.full(len(rows), -1)
    for start in range(0, len(rows), _TILE_ROWS):
        own = slice(start, start + _TILE_ROWS)
        directions = _directions(W_dec, rows[own])
        for first in range(0, start + 1, _TILE_ROWS):
            others = slice(first, first + _TILE_ROWS)
            cosines = directions @ _directions(W_dec, rows[others]).T
            if first == start:
                cosines.fill_diagonal_(-torch.inf)
            else:
                _raise(nearest[others], cosines.amax(0))
            _raise(nearest[own], cosines.amax(1))
            if first == start:
                above = torch.triu(torch.ones_like(cosines, dtype=torch.bool))
                cosines.masked_fill_(above, -torch.inf)
            largest, which = (part.cpu().numpy() for part in cosines.max(1))
            better = largest > before[own]
            before[own][better] = largest[better]
            before_of[own][better] = which[better] + first
    return before, before_of, nearest


def _raise(found: np.ndarray, values: torch.Tensor) -> None:
    np.maximum(found, values.cpu().numpy(), out=found)


def _directions(W_dec: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    """Return rows of length one; of length zero where they are zero."""
    own = W_dec.index_select(0, torch.from_numpy(rows).to(W_dec.device))
    return F.normalize(own.float(), dim=1)
