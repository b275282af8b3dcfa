"""What is known of single features besides their effects: where they are active, what they say.

Read `Occurrences` and `logit_effects`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from saeflow.models.hooks import Hook, block_modules, capture
from saeflow.models.slices import final_states
from saeflow.models.tail import Tail
from saeflow.sae.sparse.codes import Codes

_STEP = 1e-2  # of the length of the stream: far above float32's rounding, far below its curvature


class Occurrences:
    """The activations of some latents, given rising, on the tokens that were seen."""

    def __init__(self, latents: np.ndarray) -> None:
        self._latents = latents
        self._parts: list[pd.DataFrame] = []

    def add(self, prompt: int, places: np.ndarray, tokens: np.ndarray, codes: Codes) -> None:
        """Add tokens of a prompt (n,): the place of each in it, its id, and its code."""
        index = codes.index.cpu().numpy().astype(np.int64)
        kept = np.isin(index, self._latents)
        rows = codes.rows.cpu().numpy()[kept]
        self._parts.append(
            pd.DataFrame(
                {
                    "latent": index[kept],
                    "prompt": prompt,
                    "place": places[rows],
                    "token": tokens[rows],
                    "activation": codes.values.double().cpu().numpy()[kept],
                }
            )
        )

    @property
    def rows(self) -> pd.DataFrame:
        """A row per token on which a latent is active: latent, prompt, place, token, activation."""
        return pd.concat(self._parts, ignore_index=True)

    def purity(self) -> pd.DataFrame:
        """Return of each latent how much of it is about a single token, by ``latent``.

        ``token``, that with the largest sum of activations; ``token_purity``, its share of the
        latent's whole sum; ``seen``, the number of tokens on which the latent was active, few of
        which make the share large by chance. NaN, -1 and 0 for a latent that was not.
        """
        sums = self.rows.groupby(["latent", "token"])["activation"].sum()
        found = pd.DataFrame(
            {"token": -1, "token_purity": np.nan, "seen": 0},
            index=pd.Index(self._latents, name="latent"),
        )
        if len(sums):
            best = sums.groupby("latent").idxmax()
            whole = sums.groupby("latent").sum()
            found.loc[whole.index, "token"] = [token for _, token in best]
            found.loc[whole.index, "token_purity"] = sums.groupby("latent").max() / whole
            counts = self.rows.groupby("latent").size()
            found.loc[counts.index, "seen"] = counts
        return found


def mean_final_stream(model: nn.Module, prompts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the mean residual stream after the last block, at the last token of some prompts.

    Prompts are token ids (n,); the mean is (d_model,) float32.
    """
    last = Hook("resid_post", len(block_modules(model)) - 1)
    total = 0.0
    for ids in prompts:
        with capture(model, [last]) as found:
            final_states(model, ids[None])
        total = total + found[last][0, -1].double()
    return (total / len(prompts)).float()


def logit_effects(model: nn.Module, stream: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return what directions in the last residual stream do to the logits.

    Parameters
    ----------
    model
        A causal language model in eval mode.
    stream : Tensor (d_model,)
        The stream at which the model's end is linearised, as of `mean_final_stream`.
    rows : Tensor (n, d_model)
        Directions, such as decoder rows.

    Returns
    -------
    Tensor (n, vocab_size) float32
        Change of each logit per length of the row, less its mean over the vocabulary, which no
        probability depends on.

    Notes
    -----
    An approximation: a direction that an earlier block writes reaches the end along the residual
    path alone, and the final norm divides by the length of the mean stream. By central
    differences, so that whatever norm, bias or capping the model ends with is its own.
    """
    tail = Tail(model, Hook("resid_post", len(block_modules(model)) - 1))
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    scale = length / (_STEP * torch.linalg.vector_norm(stream))
    step = torch.where(length > 0, rows / scale, torch.zeros_like(rows))

    def logits(x: torch.Tensor) -> torch.Tensor:
        states = tail.states(x[:, None], torch.zeros_like(x[:, :1], dtype=torch.long))
        return tail.head(states)[:, 0].float()

    change = (logits(stream + step) - logits(stream - step)) / 2 * scale
    return change - change.mean(1, keepdim=True)


def excess_kurtosis(values: np.ndarray) -> np.ndarray:
    """Return the excess kurtosis of each row (n, m): 0 for normal ones, large for a few extremes.

    NaN for a row without variance.
    """
    centred = values - values.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(variance > 0, (centred**4).mean(axis=1) / variance**2 - 3, np.nan)
