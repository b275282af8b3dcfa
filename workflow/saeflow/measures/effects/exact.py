"""What the loss gains without single latents, computed: the model runs without each.

A sequence on which a latent is silent has the loss that it had; the others go through the model
behind the hook once for each latent, many of them in one pass. Read `Without`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from saeflow.measures.effects.estimate import shares
from saeflow.measures.exchange import Exchange
from saeflow.models.loss import scored_tokens, token_losses
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE
from saeflow.sae.sparse.codes import Codes


class Without:
    """Some latents of the SAEs of a hook, each taken out alone.

    Parameters
    ----------
    patched
        The model.
    saes
        On its device.
    latents
        Of each SAE those that are taken out, rising, (n,) int64.
    """

    def __init__(
        self, patched: PatchedModel, saes: Sequence[SAE], latents: Sequence[np.ndarray]
    ) -> None:
        self._patched, self._latents = patched, latents
        self._directions = torch.cat(
            [
                sae.W_dec.index_select(0, torch.from_numpy(own).to(sae.W_dec.device))
                for sae, own in zip(saes, latents, strict=True)
            ]
        )
        self._sums = np.zeros(len(self._directions))
        self._ends = np.cumsum([len(own) for own in latents])

    @property
    def gained(self) -> list[np.ndarray]:
        """What the loss gains without each latent, in nats, summed over tokens, SAE by SAE."""
        return np.split(self._sums, self._ends[:-1])

    def add(self, part: Exchange, codes: dict[int, Codes], batch_tokens: int) -> None:
        """Add some tokens.

        Parameters
        ----------
        part
            The tokens, and what stands at the hook.
        codes
            Of each SAE by its place.
        batch_tokens
            Tokens in a forward pass.
        """
        batch, clean = part.tokens.batch, part.clean
        ids, scored = batch.input_ids, scored_tokens(batch.real, ~batch.ordinary)
        taken = self._taken(part, codes)  # (n_latents, batch, seq)
        pairs = taken.ne(0).any(-1).nonzero()
        if not len(pairs):
            return

        def losses(x: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
            """Return the summed loss of the sequences ``rows`` with x in the place of theirs."""
            below = clean.resid_pre
            below = None if below is None else below.index_select(0, rows)
            of_rows = clean._replace(resid_pre=below)
            states = self._patched.states(x, of_rows, ids[rows])
            found = token_losses(self._patched.head, states, ids[rows], scored[rows])
            return found.double().nansum(-1).cpu().numpy()

        own = losses(clean.x, torch.arange(len(ids), device=ids.device))
        step = max(1, batch_tokens // ids.shape[1])
        for latent, rows in (some.unbind(1) for some in pairs.split(step)):
            share = taken[latent, rows].unsqueeze(-1)
            x = clean.x[rows] - share * self._directions[latent].unsqueeze(1)
            gained = losses(x, rows) - own[rows.cpu().numpy()]
            np.add.at(self._sums, latent.cpu().numpy(), gained)

    def _taken(self, part: Exchange, codes: dict[int, Codes]) -> torch.Tensor:
        """Return the factor of each latent's decoder row on each token, (n_latents, batch, seq)."""
        places, x = part.tokens.places, part.clean.x
        taken = x.new_zeros(len(self._directions), x[..., 0].numel())
        for place, own in codes.items():
            latents = torch.from_numpy(self._latents[place]).to(x.device)
            if not len(latents):
                continue
            at = torch.searchsorted(latents, own.index.long()).clamp_(max=len(latents) - 1)
            kept = (latents[at] == own.index).nonzero().squeeze(1)
            first = int(self._ends[place]) - len(latents)
            columns = places.index_select(0, own.rows[kept])
            taken[first + at[kept], columns] = shares(own)[kept].to(taken)
        return taken.view(-1, *x.shape[:2])
