"""The activations of a hook in the model, batch by batch, and others in their place.

What stands at the hook comes from its store, so that no pass of the whole model is needed; with
live activations the model itself gives it, up to the hook. The model's predictions with just these
activations are the reference that every exchange is held against. Read `exchanges`.

Which rows are replaced: the ordinary ones. Special tokens (BOS, separators) keep their own
activations in every variant. Which predictions are scored: those of an ordinary token that has a
token before it in its sequence. So the token after a BOS is scored, though the row that predicts
it is never replaced, and the clean loss is the one that Hugging Face gives for BOS + text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch

from saeflow.errors import DataError, ModelError, StoreError
from saeflow.files import read_json
from saeflow.models.hooks import Hook
from saeflow.models.loss import CHUNK_LOGITS, Reference, scored_tokens
from saeflow.models.patched import CleanPass, PatchedModel
from saeflow.models.slices import Head, run_until
from saeflow.tokens.sequences import BATCH_TOKENS, Batch, Sequences, sequences_of
from saeflow.tokens.store import open_tokens

if TYPE_CHECKING:
    from saeflow.activations.reader import Store

SPLIT = "test"

Key = TypeVar("Key")

# Tokens whose logits are compared at a time: on a CPU so few that these stay in a core's cache,
# which took half the time of a whole batch.
_CPU_CHUNK_ROWS = 256


class Marked:
    """A batch of tokens, on the model's device, and which of them are replaced and scored.

    Attributes
    ----------
    replaced, scored : ndarray (n_replaced,), (n_scored,) int64
        The numbers in `Sequences` of the ordinary tokens, and of the scored ones.
    targets : Tensor (n_scored,) int64
        The ids of the scored tokens.
    places : Tensor (n_replaced,) int64
        Where the ordinary tokens are in the flattened batch.
    """

    def __init__(self, batch: Batch) -> None:
        scored = scored_tokens(batch.real, ~batch.ordinary)
        before = torch.zeros_like(scored)
        before[:, :-1] = scored[:, 1:]
        self.batch, self.targets = batch, batch.input_ids[scored]
        self.replaced, self.scored = (
            batch.tokens[mask.cpu().numpy()] for mask in (batch.ordinary, scored)
        )
        self.places, self._before = _places(batch.ordinary), _places(before)

    def predicting(self, states: torch.Tensor) -> torch.Tensor:
        """Return of states (batch, seq, d) those that predict the scored tokens, (n_scored, d)."""
        return states.flatten(0, 1).index_select(0, self._before)

    def losses(self, head: Head, states: torch.Tensor) -> np.ndarray:
        """Return the cross-entropies (n_scored,) float64, in nats, with states (n_scored, d)."""
        return _compare(head, states, {}, self.targets)[0]

    def taken(self, x: torch.Tensor) -> torch.Tensor:
        """Return of activations (batch, seq, d) those of the ordinary tokens, (n_replaced, d)."""
        return x.flatten(0, 1).index_select(0, self.places)

    def put(self, x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Return activations (batch, seq, d) with ``value`` (n_replaced, d) in their place."""
        return x.flatten(0, 1).index_copy(0, self.places, value).view_as(x)


class Exchange:
    """A batch of tokens, with what stands at a hook, and what the model makes of it.

    Attributes
    ----------
    x : Tensor (n_replaced, d_in) float32
        What SAEs read.
    own : Tensor (n_replaced, d_out) float32
        What is exchanged; the same, but for transcoders.
    """

    def __init__(self, patched: PatchedModel, tokens: Marked, clean: CleanPass) -> None:
        self._patched, self.tokens, self.clean = patched, tokens, clean
        self.x = tokens.taken(clean.read)
        self.own = self.x if clean.read is clean.x else tokens.taken(clean.x)

    @cached_property
    def states(self) -> torch.Tensor:
        """The final states from which the scored tokens are predicted, with nothing exchanged.

        (n_scored, d_model); the model is run for them when they are first asked for.
        """
        states, ids = self.clean.states, self.tokens.batch.input_ids
        if states is None:
            states = self._patched.states(self.clean.x, self.clean, ids)
        return self.tokens.predicting(states)

    def states_with(self, value: torch.Tensor) -> torch.Tensor:
        """Return ``states`` with ``value`` (n_replaced, d_out) in the ordinary rows."""
        x = self.tokens.put(self.clean.x, value)
        states = self._patched.states(x, self.clean, self.tokens.batch.input_ids)
        return self.tokens.predicting(states)

    def losses(self, states: torch.Tensor) -> np.ndarray:
        """Return the cross-entropies (n_scored,) float64, in nats, with states (n_scored, d)."""
        return self.tokens.losses(self._patched.head, states)

    def compare(
        self, variants: Mapping[Key, torch.Tensor]
    ) -> tuple[np.ndarray, dict[Key, np.ndarray]]:
        """Return the losses of ``states`` and of others, and how predictions of these diverge.

        Parameters
        ----------
        variants
            States (n_scored, d_model), such as `states_with` gives.

        Returns
        -------
        ce : ndarray (n_scored,) float64
            Cross-entropies with nothing exchanged, in nats.
        found : dict
            For each variant (2, n_scored) float64, in nats: cross-entropies, and divergences
            KL(p ‖ q) of its predictions q from those p with nothing exchanged.
        """
        return _compare(self._patched.head, self.states, variants, self.tokens.targets)


def exchanges(
    patched: PatchedModel,
    tokens: Sequences,
    stores: Mapping[Hook, Stored] = {},
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> Iterator[Exchange]:
    """Yield the tokens in batches, with the activations of the model's hook.

    Parameters
    ----------
    patched
        The model.
    tokens
        What to predict.
    stores
        Where the activations at ``patched.hook`` and ``patched.reads`` are kept; of a hook that is
        not among them the model computes them.
    batch_tokens
        Tokens in a forward pass; changes nothing but rounding.
    """
    hooks = dict.fromkeys((patched.hook, patched.reads))
    computed = [hook for hook in hooks if hook not in stores]
    for batch in tokens.batches(batch_tokens):
        marked = Marked(batch.to(patched.model.device))
        ids = marked.batch.input_ids
        found = run_until(patched.model, ids, None, computed) if computed else {}
        found |= {hook: stores[hook].of(marked.batch) for hook in hooks if hook in stores}
        clean = patched.resume(ids, found[patched.hook], found[patched.reads])
        yield Exchange(patched, marked, clean)


class Stored(NamedTuple):
    """The rows of a store that belong to some tokens: all ``activations``, and each token's row."""

    activations: Any
    rows: np.ndarray

    def of(self, batch: Batch) -> torch.Tensor:
        """Return the activations (batch, seq, d) float32 of a batch, zeros at padding."""
        rows = torch.from_numpy(self.rows[batch.tokens[batch.tokens >= 0]])
        found = self.activations.tensor(rows).to(batch.real.device)
        x = found.new_zeros(batch.real.numel(), found.shape[1])
        return x.index_copy_(0, _places(batch.real), found).view(*batch.real.shape, -1)


def stored(tokens: Path, *records: Path, rows: np.ndarray | None = None) -> dict[Hook, Stored]:
    """Return rows in stores of activations, by hook; of live ones none.

    ``tokens`` is the record of the tokens that the activations belong to, ``records`` are those of
    activations; ``rows`` are those of the test split by default.
    """
    from saeflow.activations.reader import open_store

    stores: list[Store] = [open_store(record) for record in dict.fromkeys(records)]
    for store in stores:
        if store.record["tokens"] != read_json(tokens)["identity"]:
            raise StoreError(
                "these activations are not those of the tokens that are to be predicted",
                where=store.path,
                expected=f"activations of {tokens}",
                remedy="Harvest them from these tokens.",
            )
    return {
        Hook.parse(store.hook): Stored(
            store.activations, np.arange(*store.ranges(SPLIT)) if rows is None else rows
        )
        for store in stores
        if not store.activations.is_live
    }


def evaluated_tokens(record: Path, n_tokens: int | None = None) -> Sequences:
    """Return the tokens of a store's test split; the first sequences, for so many.

    A `DataError` if none of them can be predicted.
    """
    tokens = sequences_of(open_tokens(record), SPLIT)
    tokens = tokens if n_tokens is None else tokens.first(n_tokens)
    require_scored(tokens)
    return tokens


def require_scored(tokens: Sequences) -> None:
    """Raise a `DataError` if there is no token that can be predicted."""
    if not len(tokens.scored):
        raise DataError(
            f"the {SPLIT} split has no token that can be predicted",
            got=f"{len(tokens.offsets) - 1} sequences",
            remedy=f"Give the dataset a larger {SPLIT} share under `splits`, or raise the packing's"
            f" tokens > {SPLIT}.",
        )


def no_numbers(hook: Hook) -> ModelError:
    """Return the error of an SAE at a hook with which losses are not numbers."""
    return ModelError(
        "the model's predictions are not numbers with the SAE's reconstructions in place",
        where=str(hook),
        remedy="The SAE gives NaN or huge numbers: train it with another learning rate or seed.",
    )


def _compare(
    head: Head, clean: torch.Tensor, variants: Mapping[Key, torch.Tensor], targets: torch.Tensor
) -> tuple[np.ndarray, dict[Key, np.ndarray]]:
    """Return cross-entropies (n,) of clean states, and each variant's, (2, n), as of `compare`.

    Logits of one chunk of tokens at a time exist in memory.
    """
    n = len(targets)
    ce_clean, found = clean.new_empty(n), clean.new_empty(len(variants), 2, n)
    step = chunk_rows(head, clean)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        reference = Reference(head(clean[rows]), targets[rows])
        ce_clean[rows] = reference.ce
        for own, states in zip(found, variants.values(), strict=True):
            own[0, rows], own[1, rows] = reference.compare(head(states[rows]))
    by_variant = zip(variants, found.double().cpu().numpy(), strict=True)
    return ce_clean.double().cpu().numpy(), dict(by_variant)


def chunk_rows(head: Head, states: torch.Tensor) -> int:
    """Return of how many of the states (n, d) logits are to be in memory at a time."""
    if states.device.type == "cpu":
        return _CPU_CHUNK_ROWS
    return max(1, CHUNK_LOGITS // head(states[:1]).shape[-1])


def _places(mask: torch.Tensor) -> torch.Tensor:
    """Return where in the flattened mask it is True."""
    return mask.flatten().nonzero().squeeze(1)
