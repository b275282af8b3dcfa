"""A model's end as a reader of states: the final norm, then the words of a task.

Read `Lens`; `best_threshold` is all that is fitted to labels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from saeflow.models.hooks import Hook, available_hooks
from saeflow.models.patched import CleanPass, PatchedModel
from saeflow.probing.fitted import Fitted, Training

_ROWS = 4096


def last_hook(model: nn.Module) -> Hook:
    """Return the hook of the model's last states, which its final norm reads."""
    return [hook for hook in available_hooks(model) if hook.site == "resid_post"][-1]


class Lens:
    """What a causal language model makes of states that are put in the place of its last ones."""

    def __init__(self, model: nn.Module) -> None:
        self._patched = PatchedModel(model, last_hook(model))

    @torch.no_grad()
    def __call__(self, states: torch.Tensor, direction: torch.Tensor) -> np.ndarray:
        """Return the scores (n,) float64 of states (n, d_model) in a direction (d_model,)."""
        found = []
        for part in states.split(_ROWS):
            x = part.float()[:, None].to(self._patched.model.device)  # of a token of its own each
            ids = torch.zeros(x.shape[:2], dtype=torch.long, device=x.device)
            final = self._patched.states(x, CleanPass(None, x, None, x), ids)[:, 0]
            found.append((final.double() @ direction).cpu().numpy())
        return np.concatenate(found)


def best_threshold(training: Training) -> list[Fitted]:
    """Fit the threshold of a single score: the one with the fewest errors on the training set.

    Tried are the middles between neighbouring scores, and what is below and above all of them. Of
    several that are equally good it is the middle one.
    """
    scores, positive = training.x[:, 0], training.positive
    values, place = np.unique(scores, return_inverse=True)
    counts = (np.bincount(place[of], minlength=len(values)) for of in (positive, ~positive))
    missed, right = (np.concatenate([[0], np.cumsum(count)]) for count in counts)
    errors = missed + (~positive).sum() - right  # by how many scores are below the threshold
    best = np.flatnonzero(errors == errors.min())
    edges = np.concatenate([[values[0] - 1], (values[1:] + values[:-1]) / 2, [values[-1] + 1]])
    threshold = edges[best[len(best) // 2]]
    return [Fitted(lambda x: x[:, 0] - threshold)]
