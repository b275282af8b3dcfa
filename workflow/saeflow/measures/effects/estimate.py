"""The estimate: a latent's contribution times the gradient of the loss.

With L the loss, summed over the scored tokens, taking latent i out everywhere adds to first order

    sum_t -c_ti <w_i, g_t>,  g_t = dL / da_t at the clean activations

(attribution patching: Nanda 2023; Syed et al. 2023, "Attribution patching outperforms automated
circuit discovery"). The loss of later tokens of a sequence is part of g_t. One backward pass from
the loss to the hook serves all SAEs there. Read `gradient`, then `Estimate`.
"""

from __future__ import annotations

import numpy as np
import torch

from saeflow.measures.exchange import Exchange, chunk_rows
from saeflow.models.loss import cross_entropy
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE
from saeflow.sae.sparse.codes import Codes


@torch.enable_grad()
def gradient(patched: PatchedModel, part: Exchange) -> torch.Tensor:
    """Return the gradient of the summed loss by the activations of the ordinary tokens of a batch.

    (n_replaced, d_out) float32, in nats per unit of activation; the model's weights want none.
    """
    x = part.own.detach().requires_grad_()
    states = part.states_with(x)
    rows = chunk_rows(patched.head, states.detach())  # logits of so many tokens are in memory
    found = []
    for some, targets in zip(states.split(rows), part.tokens.targets.split(rows), strict=True):
        leaf = some.detach().requires_grad_()
        loss = cross_entropy(patched.head(leaf), targets).sum()
        found.append(torch.autograd.grad(loss, leaf)[0])
    return torch.autograd.grad(states, x, torch.cat(found))[0]


def shares(codes: Codes) -> torch.Tensor:
    """Return the factor c of each active latent's decoder row in x_hat, (n_active,)."""
    if codes.frame is None:
        return codes.values
    return codes.values * codes.frame.scale.flatten().index_select(0, codes.rows)


class Estimate:
    """What the loss gains without each of ``d_sae`` latents, summed over tokens.

    Attributes
    ----------
    effect, absolute : ndarray (d_sae,) float64
        The sum of a token's estimates, and of their absolute values, in nats.
    active : ndarray (d_sae,) bool
        Which latents were active at all.
    """

    def __init__(self, d_sae: int) -> None:
        self.effect, self.absolute = np.zeros(d_sae), np.zeros(d_sae)
        self.active = np.zeros(d_sae, dtype=bool)

    @property
    def finite(self) -> bool:
        """Whether all are numbers."""
        return bool(np.isfinite(self.absolute).all())

    def add(self, sae: SAE, codes: Codes, slope: torch.Tensor) -> None:
        """Add the codes of n tokens, where the loss has the gradient ``slope`` (n, d_out)."""
        _, pullback = codes.decode_with_pullback(sae.W_dec)
        gained = -(shares(codes).double() * pullback(slope).double()).cpu().numpy()
        index = codes.index.cpu().numpy()
        np.add.at(self.effect, index, gained)  # one entry after the other
        np.add.at(self.absolute, index, np.abs(gained))
        self.active[index] = True
