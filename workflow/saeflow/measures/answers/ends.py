"""What SAEs make of the last tokens of prompts: sums per prompt, and which latents are active.

Read `Ends`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.linalg import vecdot, vector_norm

from saeflow.measures.sums import Entries

FEATURES = ("prompt", "latent", "n_active", "max_activation", "sum_activation")


class Ends(NamedTuple):
    """The last tokens of the prompts of a batch, among the rows that SAEs encode.

    Attributes
    ----------
    rows : ndarray (n,) int64
        Which rows they are.
    prompts : ndarray (n,) int64
        The prompt of each, one prompt's together.
    """

    rows: np.ndarray
    prompts: np.ndarray

    @classmethod
    def of(cls, prompts: np.ndarray, window: int) -> Ends:
        """Return the last ``window`` rows of each prompt; ``prompts`` is that of each row, or -1.

        The rows of one prompt follow one another.
        """
        found = []
        for number in dict.fromkeys(prompts[prompts >= 0].tolist()):
            found.append(np.flatnonzero(prompts == number)[-window:])
        rows = np.concatenate(found) if found else np.empty(0, dtype=np.int64)
        return cls(rows, prompts[rows])

    def clean(self, x: torch.Tensor) -> dict[str, np.ndarray]:
        """Return what depends on no SAE of activations (n_rows, d), (n,) float64 each."""
        own = self._take(x)
        return {"window": np.ones(len(own)), "norm": vector_norm(own, dim=1).cpu().numpy()}

    def compare(self, x: torch.Tensor, x_hat: torch.Tensor) -> dict[str, np.ndarray]:
        """Return squared errors of reconstructions (n_rows, d), (n,) float64 each."""
        own, error = self._take(x), self._take(x_hat) - self._take(x)
        squared, scale = vecdot(error, error).cpu().numpy(), self._scale(own)
        mse = np.divide(squared, scale, out=np.zeros(len(scale)), where=scale > 0)
        # a token that is its prompt's mean, as a single one is, has no error of this kind
        return {"squared_error": squared, "mse": mse, "mse_tokens": (scale > 0).astype(np.float64)}

    def _scale(self, own: torch.Tensor) -> np.ndarray:
        """Return d times the distance of each row from the mean of its prompt's, (n,) float64."""
        _, index, counts = np.unique(self.prompts, return_inverse=True, return_counts=True)
        index = torch.from_numpy(index).to(own.device)
        total = own.new_zeros(len(counts), own.shape[1]).index_add_(0, index, own)
        mean = total / torch.from_numpy(counts)[:, None].to(own)
        return own.shape[1] * vector_norm(own - mean[index], dim=1).cpu().numpy()

    def _take(self, x: torch.Tensor) -> torch.Tensor:
        return x.index_select(0, torch.from_numpy(self.rows).to(x.device)).double()

    def active(self, entries: Entries) -> dict[str, np.ndarray]:
        """Return how many latents are active, and their sum, (n,) float64 each."""
        return {name: sums[self.rows] for name, sums in entries.sums.items()}

    def features(self, entries: Entries) -> dict[str, np.ndarray]:
        """Return a row per prompt and latent that is active on its last tokens."""
        prompt_of = np.full(entries.n, -1, dtype=np.int64)
        prompt_of[self.rows] = self.prompts
        prompt, latent = prompt_of[entries.rows.numpy()], entries.index.numpy()
        kept = prompt >= 0
        prompt, latent, value = prompt[kept], latent[kept], entries.values.numpy()[kept]
        order = np.lexsort((latent, prompt))
        prompt, latent, value = prompt[order], latent[order], value[order]
        starts = np.flatnonzero(np.diff(prompt, prepend=-1).astype(bool) | (
            np.diff(latent, prepend=-1) != 0
        ))  # fmt: skip
        counts = np.diff(np.append(starts, len(value)))
        columns = (
            prompt[starts],
            latent[starts],
            counts.astype(np.int64),
            np.maximum.reduceat(value, starts) if len(starts) else value,
            np.add.reduceat(value, starts) if len(starts) else value,
        )
        return dict(zip(FEATURES, columns, strict=True))


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the rows of all batches in the order of prompts and latents."""
    whole = {name: np.concatenate([part[name] for part in parts]) for name in FEATURES}
    order = np.lexsort((whole["latent"], whole["prompt"]))
    return {name: column[order] for name, column in whole.items()}
