"""What a model makes of texts with an edit of one hook at all ordinary tokens. Read `EditedTexts`.

One clean pass serves all edits; after that only the part of the model behind the hook runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from saeflow.errors import ModelError
from saeflow.measures.encoders import Coder
from saeflow.measures.erasure.edits import Coded, Edit
from saeflow.measures.exchange import Exchange, Marked
from saeflow.models.patched import PatchedModel
from saeflow.tokens.sequences import Batch, Sequences


class Outcome(NamedTuple):
    """What the model makes of texts under one edit.

    Attributes
    ----------
    ce : ndarray (n_texts,) float64
        Cross-entropy, in nats, summed over the scored tokens of each text.
    ends : Tensor (n_texts, d_model) float32
        The state that the LM head reads at the last ordinary token of each.
    """

    ce: np.ndarray
    ends: torch.Tensor


class EditedTexts:
    """Texts that a model reads again and again, each time with another edit.

    Parameters
    ----------
    patched
        The model and the hook.
    texts
        A sequence each, with an ordinary token.

    Attributes
    ----------
    n_tokens : ndarray (n_texts,) float64
        The scored tokens of each.
    """

    def __init__(self, patched: PatchedModel, texts: Sequences) -> None:
        self._patched, self._n = patched, len(texts.offsets) - 1
        marked = [Marked(batch.to(patched.model.device)) for batch in texts.batches()]
        self._parts = [Exchange(patched, m, patched.clean(m.batch.input_ids)) for m in marked]
        self.n_tokens = np.zeros(self._n)
        for part in self._parts:
            np.add.at(self.n_tokens, _texts_of(part.tokens), 1.0)

    @torch.no_grad()
    def under(self, edits: Sequence[Edit], coder: Coder | None = None) -> list[Outcome]:
        """Return what becomes of the texts under each of some edits, of features of ``coder``."""
        head, width = self._patched.head, self._parts[0].own.new_zeros
        ce = np.zeros((len(edits), self._n))
        ends: list[torch.Tensor | None] = [None] * len(edits)
        for part in self._parts:
            coded = Coded.of(coder, part.x) if any(edit.of_sae for edit in edits) else None
            batch, places = part.tokens.batch, _texts_of(part.tokens)
            for number, edit in enumerate(edits):
                value = edit.of(part.own, coded)
                x = part.tokens.put(part.clean.x, value)
                states = self._patched.states(x, part.clean, batch.input_ids)
                losses = part.tokens.losses(head, part.tokens.predicting(states))
                self._require_finite(losses, edit)
                np.add.at(ce[number], places, losses)
                last = at_ends(batch, states)
                if ends[number] is None:
                    ends[number] = width(self._n, last.shape[1])
                ends[number][torch.from_numpy(batch.numbers).to(last.device)] = last
        return [Outcome(*one) for one in zip(ce, ends, strict=True)]

    def _require_finite(self, losses: np.ndarray, edit: Edit) -> None:
        if not np.isfinite(losses).all():
            raise ModelError(
                "the model's predictions are not numbers with edited activations in place",
                where=f"{self._patched.hook}, {edit.kind} by {edit.way}",
                expected="finite losses",
                got=f"{int((~np.isfinite(losses)).sum())} of {len(losses)} that are none",
                remedy="Leave the SAE out of the study's `erase_with`, or give measures > erasure >"
                " strengths smaller numbers.",
            )


def _texts_of(tokens: Marked) -> np.ndarray:
    """Return the text of each scored token, (n_scored,) int64."""
    batch = tokens.batch
    order = np.argsort(batch.tokens.ravel(), kind="stable")
    at = np.searchsorted(batch.tokens.ravel()[order], tokens.scored)
    return batch.documents.ravel()[order][at]


def at_ends(batch: Batch, states: torch.Tensor) -> torch.Tensor:
    """Return of states (batch, seq, d) those at the last ordinary token of each row, (batch, d)."""
    places = torch.arange(states.shape[1], device=states.device)
    last = torch.where(batch.ordinary, places, -1).amax(1)
    return states[torch.arange(len(states), device=states.device), last]
