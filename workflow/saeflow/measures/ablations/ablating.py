"""A prompt with and without the contributions of some features. Read `Ablated`.

What a feature contributes to a reconstruction is its activation times its decoder row (times the
scale that the SAE puts back, where it prepares its inputs). It is taken from the reconstruction,
whose other errors stay; or from the activations themselves, whose own error stays, so that all
that the model computes but this one feature is the untouched model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from saeflow.measures.encoders import Coder
from saeflow.models.patched import PatchedModel
from saeflow.sae.sparse.codes import Codes

WHERE = ("reconstruction", "activations")
"""What a feature is taken from."""

# Tokens in a forward pass. A constant: the shape of a matrix product can move its last bits.
_BATCH_TOKENS = 4096


class Asked(NamedTuple):
    """A prompt with its answer.

    Attributes
    ----------
    ids : Tensor (n_tokens,) int64
        The prompt's tokens, then those of the answer.
    ordinary : Tensor (n_tokens,) bool
        Those that are no special ones: what an SAE replaces.
    n_answer : int
        Tokens of the answer.
    """

    ids: torch.Tensor
    ordinary: torch.Tensor
    n_answer: int


class Outcome(NamedTuple):
    """How a prompt is answered, without nothing first and then without each set of features.

    Attributes
    ----------
    log_p : ndarray (2, 1 + n_sets) float64
        ln p of the answer, summed over its tokens, by `WHERE`.
    correct : ndarray (2, 1 + n_sets) bool
        Whether each of its tokens is the likeliest one.
    """

    log_p: np.ndarray
    correct: np.ndarray


class Ablated:
    """The untouched model on a prompt, which serves every SAE and every set of features."""

    def __init__(self, patched: PatchedModel, asked: Asked) -> None:
        self._patched, self._asked = patched, asked
        # The last token is predicted and predicts nothing.
        self._ids = asked.ids[None, :-1]
        self._rows = asked.ordinary[:-1].nonzero().squeeze(1)
        self._clean = patched.clean(self._ids)

    @property
    def replaced(self) -> torch.Tensor:
        """The places of the tokens at which an SAE acts, (n_rows,) int64."""
        return self._rows

    def codes(self, coder: Coder) -> Codes:
        """Return the code of each of these tokens."""
        return coder.encode_sparse(self._clean.read[0].index_select(0, self._rows))

    def without(self, coder: Coder, codes: Codes, sets: Sequence[np.ndarray]) -> Outcome:
        """Return how the prompt is answered with all features, and without each of some sets.

        Parameters
        ----------
        codes
            What `codes` returned of the SAE.
        sets
            Latents (n,) int64 that are ablated together, everywhere in the prompt. What is the
            same to this prompt, since no other latent of it is active here, is run once.
        """
        x = self._clean.x[0].index_select(0, self._rows)
        x_hat = coder.decode(codes)
        active = np.unique(codes.index.cpu().numpy())
        wanted = [(), *(tuple(np.intersect1d(latents, active).tolist()) for latents in sets)]
        place = {latents: at for at, latents in enumerate(dict.fromkeys(wanted))}
        values = []
        for latents in place:
            rest = reconstruction_without(coder, codes, x_hat, latents)
            values += [rest, x - (x_hat - rest)]
        step = max(1, _BATCH_TOKENS // self._ids.shape[1])
        parts = [self._answers(values[i : i + step]) for i in range(0, len(values), step)]
        log_p, correct = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        at = [place[latents] for latents in wanted]
        return Outcome(log_p.reshape(-1, 2).T[:, at], correct.reshape(-1, 2).T[:, at])

    def _answers(self, values: Sequence[torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Return ln p of the answer and whether it is the likeliest, with rows replaced, (n,)."""
        n, ids, n_answer = len(values), self._ids, self._asked.n_answer
        x = self._clean.x.repeat(n, 1, 1)
        x[:, self._rows] = torch.stack(list(values))
        clean = self._clean._replace(resid_pre=self._clean.resid_pre.expand(n, -1, -1))
        states = self._patched.states(x, clean, ids.expand(n, -1))[:, -n_answer:]
        log_p = self._patched.head(states).float().log_softmax(-1)
        target = self._asked.ids[-n_answer:].expand(n, -1)
        found = log_p.gather(-1, target[..., None]).squeeze(-1).double().sum(-1)
        return found.cpu().numpy(), (log_p.argmax(-1) == target).all(-1).cpu().numpy()


def reconstruction_without(
    coder: Coder, codes: Codes, x_hat: torch.Tensor, latents: Sequence[int] | np.ndarray
) -> torch.Tensor:
    """Return the reconstruction (n, d_in) of codes in which some latents (n_latents,) are zero.

    It is ``x_hat``, that of the codes as they are, where none of the latents is active.
    """
    index = codes.index.long()
    taken = torch.isin(index, torch.tensor(latents, dtype=torch.int64, device=index.device))
    return coder.decode(codes.part(~taken)) if bool(taken.any()) else x_hat
