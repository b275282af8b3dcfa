"""Norms of decoder rows, and at each hook of a crosscoder.

A crosscoder reads and gives the activations of several hooks side by side, so that a decoder row
is the rows of a latent at all of them. Read `norms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from saeflow.sae.model import SAE

_TINY = 1e-12


class Norms(NamedTuple):
    """Norms of decoder rows.

    ``sum`` (d_sae,) is over the hooks; where there is one, the norm itself. ``columns`` (d_sae, d),
    or (d_sae, 1), has in each column the norm at its hook, above zero: a row of zeros has no
    direction.
    """

    sum: Tensor
    columns: Tensor


def norms(W_dec: Tensor, widths: Sequence[int] | None) -> Norms:
    """Return the norms of the rows of ``W_dec`` (d_sae, d).

    ``widths`` are those of a crosscoder's hooks, in the order of the columns; None for one hook.
    """
    if widths is None:
        norm = torch.linalg.vector_norm(W_dec, dim=1)
        return Norms(norm, norm.clamp_min(_TINY)[:, None])
    parts = [torch.linalg.vector_norm(part, dim=1) for part in W_dec.split(list(widths), 1)]
    together = torch.stack(parts, 1)
    columns = together.clamp_min(_TINY).repeat_interleave(
        torch.tensor(list(widths), device=W_dec.device), 1
    )
    return Norms(together.sum(1), columns)


def scaled_decoder(sae: SAE) -> Tensor:
    """Return decoder rows (d_sae, d) whose norms and angles can be compared.

    Of a crosscoder these are rows for activations of one mean size at all its hooks; of any other
    SAE its own.
    """
    hooks = sae.metadata.get("joined")
    if hooks is None:
        return sae.W_dec
    return torch.cat([sae.W_dec[:, slice(*one["columns"])] * one["scale"] for one in hooks], 1)
