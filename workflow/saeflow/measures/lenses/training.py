"""The pass in which translators are fitted: hooks and last states of some training texts.

Read `fit_translators`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import nn

from saeflow.activations.forward import enough_memory
from saeflow.logs import progress
from saeflow.measures.lenses.lens import last_hook
from saeflow.measures.lenses.translators import Moments, Translator, fit_translator
from saeflow.measures.text_batches import batch_of, batches
from saeflow.measures.text_tokens import TextTokens
from saeflow.models.hooks import Hook
from saeflow.models.slices import run_until

RESIDUAL = "resid"
"""How the sites of the residual stream begin."""
_HELD_OUT = 5
"""One of so many texts chooses the ridge, none of fewer."""


@torch.no_grad()
def fit_translators(
    model: nn.Module, hooks: Sequence[Hook], tokens: TextTokens, batch_tokens: int
) -> dict[Hook, Translator]:
    """Fit the translator of each hook on all ordinary tokens of some texts, in one pass."""
    last, texts = last_hook(model), np.arange(len(tokens.lengths))
    held = np.repeat(texts % _HELD_OUT == _HELD_OUT - 1, tokens.lengths)
    sums: dict[Hook, tuple[Moments, Moments]] = {}
    parts = batches(texts, tokens.lengths, batch_tokens)
    for part in progress(parts, desc="translators", unit="batches"):
        batch = batch_of(tokens, part)
        places = np.flatnonzero((batch.tokens >= 0) & tokens.ordinary[batch.tokens])
        of_held = torch.from_numpy(held[batch.tokens[places]]).to(model.device)
        rows, ids = torch.from_numpy(places).to(model.device), batch.ids.to(model.device)
        with enough_memory(ids, "measures > states > batch_tokens"):
            found = run_until(model, ids, None, [*hooks, last], partial(_rows_of, rows))
        y = found[last]
        for hook in hooks:
            x = found[hook]
            if hook not in sums:
                sums[hook] = tuple(Moments(x.shape[1], y.shape[1], x.device) for _ in range(2))
            for own, which in zip(sums[hook], (~of_held, of_held), strict=True):
                own.add(x[which], y[which])
    return {
        hook: fit_translator(*own, in_stream=hook.site.startswith(RESIDUAL))
        for hook, own in sums.items()
    }


def _rows_of(rows: torch.Tensor, _: Hook, x: torch.Tensor) -> torch.Tensor:
    """Return some tokens' activations (n, d) of all (batch, seq, d)."""
    return x.flatten(0, 1)[rows]


def chosen_texts(n_tokens: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Return numbers of texts in a random order, until they have ``most`` tokens together.

    ``n_tokens`` (n_texts,) is the length of each.
    """
    order = np.random.default_rng(seed).permutation(len(n_tokens))
    enough = np.searchsorted(np.cumsum(n_tokens[order]), most) + 1
    return order[:enough]
