"""What the loss gains without single latents, computed: the model runs without each.

A latent is taken out of the first sequences on which it is active, one sequence and latent at a
time, and many of these go through the model behind the hook together. Read `Without`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from saeflow.measures.effects.estimate import gradient, shares
from saeflow.measures.exchange import Exchange
from saeflow.models.loss import scored_tokens, token_losses
from saeflow.models.patched import PatchedModel
from saeflow.sae.model import SAE
from saeflow.sae.sparse.codes import Codes


class Without:
    """Some latents of the SAEs of a hook, each taken out alone.

    Parameters
    ----------
    latents
        Of each SAE those that are taken out, rising, (n,) int64.
    n_sequences
        Of how many sequences each is taken out.
    """

    def __init__(
        self,
        patched: PatchedModel,
        saes: Sequence[SAE],
        latents: Sequence[np.ndarray],
        n_sequences: int,
    ) -> None:
        self._patched, self._latents = patched, latents
        self._directions = torch.cat(
            [
                sae.W_dec.index_select(0, torch.from_numpy(own).to(sae.W_dec.device))
                for sae, own in zip(saes, latents, strict=True)
            ]
        )
        self._sums = np.zeros((2, len(self._directions)))
        self._left = torch.full((len(self._directions),), n_sequences)
        self._ends = np.cumsum([len(own) for own in latents])

    @property
    def wants_more(self) -> bool:
        """Whether some latent may be taken out of further sequences."""
        return bool((self._left > 0).any())

    @property
    def gained(self) -> list[np.ndarray]:
        """What the loss gains without each latent, estimated and in fact.

        (2, n) float64 of each SAE, in nats, summed over the sequences.
        """
        return np.split(self._sums, self._ends[:-1], axis=1)

    def add(self, part: Exchange, codes: Mapping[int, Codes], batch_tokens: int) -> None:
        """Add the sequences of some tokens, as far as more of them are wanted.

        ``codes`` are those of each SAE by its place; ``batch_tokens`` go through the model at once.
        """
        taken = self._taken(part, codes)  # (n_latents, batch, seq)
        active = taken.ne(0).any(-1)
        wanted = active & (active.cumsum(1).cpu() <= self._left[:, None]).to(active.device)
        self._left -= wanted.sum(1).cpu()
        pairs = wanted.nonzero()
        if not len(pairs):
            return
        rows, of_pairs = pairs[:, 1].unique(return_inverse=True)
        own = self._losses(part, part.clean.x[rows], rows)[of_pairs.cpu().numpy()]
        slope = gradient(self._patched, part)
        slope = part.tokens.put(torch.zeros_like(part.clean.x), slope)
        step = max(1, batch_tokens // taken.shape[2])
        parts = np.split(own, range(step, len(own), step))
        for some, losses in zip(pairs.split(step), parts, strict=True):
            latent, rows = some.unbind(1)
            share, direction = taken[latent, rows], self._directions[latent]
            x = part.clean.x[rows] - share[..., None] * direction[:, None]
            gained = self._losses(part, x, rows) - losses
            estimate = -(share * (slope[rows] @ direction[..., None]).squeeze(-1)).double().sum(-1)
            for sums, values in zip(self._sums, (estimate.cpu().numpy(), gained), strict=True):
                np.add.at(sums, latent.cpu().numpy(), values)

    def _losses(self, part: Exchange, x: torch.Tensor, rows: torch.Tensor) -> np.ndarray:
        """Return the summed losses of the sequences ``rows``, with x in the place of theirs."""
        batch, below = part.tokens.batch, part.clean.resid_pre
        ids, scored = batch.input_ids[rows], scored_tokens(batch.real, ~batch.ordinary)[rows]
        clean = part.clean._replace(resid_pre=None if below is None else below[rows])
        states = self._patched.states(x, clean, ids)
        found = token_losses(self._patched.head, states, ids, scored)
        return found.double().nansum(-1).cpu().numpy()

    def _taken(self, part: Exchange, codes: Mapping[int, Codes]) -> torch.Tensor:
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
