"""What becomes of SAEs' errors in later layers, for the SAEs of all hooks of a model in one pass.

One clean run of a batch serves all SAEs. Each then takes one pass through the blocks after its
hook, in which later SAEs read what arrives at theirs, however many these are; how its effect on
the predictions divides takes some more. Numerators and denominators are of the same tokens: the
ordinary ones, at all positions. Read `propagate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from saeflow.errors import DataError, SaeflowError
from saeflow.logs import progress
from saeflow.measures.encoders import Coder
from saeflow.measures.propagation.changes import Look
from saeflow.measures.reconstruction import SPLIT
from saeflow.measures.sums import DocumentSums
from saeflow.metrics.propagation import CHAIN, DIRECT, FULL, N_BINS, QUANTITIES, WAYS
from saeflow.models.hooks import Hook
from saeflow.models.propagate import FREEZING, Propagation
from saeflow.tokens.sequences import BATCH_TOKENS, Batch, Sequences


class Placed(NamedTuple):
    """An SAE and where it stands.

    Attributes
    ----------
    hook : Hook
        Where it reads, and where its reconstructions stand.
    name : str
        Its recipe and method; those of one name form a chain.
    coder : Coder
        The SAE.
    """

    hook: Hook
    name: str
    coder: Coder


class Propagated(NamedTuple):
    """What was measured of one SAE.

    Attributes
    ----------
    documents : dict
        ``document``, ``tokens``, ``predictions`` and the sums ``ce_*`` of
        `saeflow.metrics.propagation`, (n_documents,); NaN for what the model does not allow.
    pairs : list of tuple
        Of each later SAE: the SAE, its sums by document, and how many ratios lie in each bin,
        (len(QUANTITIES), len(WAYS), N_BINS).
    """

    documents: dict[str, np.ndarray]
    pairs: list[tuple[Placed, dict[str, np.ndarray], np.ndarray]]


@torch.no_grad()
def propagate(
    model: torch.nn.Module,
    saes: Sequence[Placed],
    upstream: Mapping[int, Sequence[int]],
    tokens: Sequences,
    target: torch.device | str = "cpu",
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> dict[int, Propagated | SaeflowError]:
    """Measure what the errors of SAEs do, in one pass over the tokens.

    Parameters
    ----------
    model
        A causal language model, on the device ``target`` as the SAEs are.
    upstream
        Which of the SAEs are measured -> which others, at later hooks, read what becomes of it.
    batch_tokens
        Tokens in a forward pass; changes nothing but rounding.

    Returns
    -------
    dict
        For each key of ``upstream`` what was measured, or why it failed.
    """
    if tokens.special.all():
        raise DataError(
            f"the {SPLIT} split has no token to measure on",
            got=f"{len(tokens.offsets) - 1} sequences of special tokens",
            remedy=f"Give the dataset a larger {SPLIT} share under `splits`, or raise `measures >"
            " propagation > tokens`.",
        )
    changed = {saes[place].hook for place in upstream}
    found = _Sums(Propagation(model, changed, {sae.hook for sae in saes}), saes, upstream, tokens)
    for batch in progress(tokens.batches(batch_tokens), desc="propagation", unit="batches"):
        found.add(batch.to(target))
    return found.results()


class _Sums:
    """What is added up, batch by batch."""

    def __init__(
        self,
        model: Propagation,
        saes: Sequence[Placed],
        upstream: Mapping[int, Sequence[int]],
        tokens: Sequences,
    ) -> None:
        self._model, self._saes, self._upstream = model, saes, upstream
        documents = tokens.documents[~tokens.special]
        self._pairs = {
            pair: number
            for number, pair in enumerate(
                (own, other) for own in upstream for other in upstream[own]
            )
        }
        self._of_saes, self._of_pairs = DocumentSums(documents), DocumentSums(documents)
        shape = (len(self._pairs), len(QUANTITIES), len(WAYS), N_BINS)
        self._bins = np.zeros(shape, dtype=np.uint32)
        self._unread: dict[int, SaeflowError] = {}  # SAEs that clean activations defeat
        self._failed: dict[int, SaeflowError] = {}  # those that fail in what they change

    def add(self, batch: Batch) -> None:
        """Add a batch; an SAE that fails is left out from then on."""
        look = Look(batch, self._model)
        self._of_saes.add(look.documents, {"tokens": np.ones(len(look.documents))})
        ones = {"predictions": np.ones(len(look.ce_clean)), "ce_clean": look.ce_clean}
        self._of_saes.add(look.scored_documents, ones)
        measured: dict[int, dict[str, np.ndarray]] = {}
        # from the last hook on, so that later SAEs have been looked at and no x_hat is kept
        for own in sorted(range(len(self._saes)), key=lambda i: self._saes[i].hook, reverse=True):
            sae = self._saes[own]
            try:
                if own not in self._unread:
                    measured[own], x_hat = look.read(sae.coder, look.clean.at[sae.hook])
            except SaeflowError as error:
                self._unread[own] = error
            try:
                if own in self._upstream and not self._error(own):
                    self._follow(own, x_hat, look, measured)
            except SaeflowError as error:
                self._failed[own] = error

    def _follow(
        self, own: int, x_hat: torch.Tensor, look: Look, measured: Mapping[int, Mapping]
    ) -> None:
        """Add what an SAE with reconstructions (n, d) does in one batch."""
        sae, others = self._saes[own], self._upstream[own]
        x, clean, model = look.exchange(look.clean.at[sae.hook], x_hat), look.clean, self._model
        seen = list(dict.fromkeys(self._saes[other].hook for other in others))
        states, arrived = {}, {}
        states[FULL], arrived[FULL] = model.full(sae.hook, x, clean, seen)
        states[DIRECT], arrived[DIRECT] = model.direct(sae.hook, x, clean, seen)
        for name in model.freezing:
            states[name] = model.frozen(name, sae.hook, x, clean)
        alike = (self._saes[other] for other in others if self._saes[other].name == sae.name)
        chain = {later.hook: look.exchanging(later.coder) for later in alike}
        states[CHAIN] = model.chain(sae.hook, x, clean, chain)
        losses = {f"ce_{name}": look.losses(state, name) for name, state in states.items()}
        self._of_saes.add(look.scored_documents, losses, of=own)
        for other in others:
            later, ratios = self._saes[other], self._bins[self._pairs[own, other]]
            changed = {way: look.read(later.coder, arrived[way][later.hook])[0] for way in WAYS}
            sums = look.compare(measured[other], changed, ratios)
            self._of_pairs.add(look.documents, sums, of=self._pairs[own, other])

    def _error(self, own: int) -> SaeflowError | None:
        """Return why an SAE cannot be measured: it, or one that reads what it does, failed."""
        places = (own, *self._upstream[own])
        found = (self._unread[place] for place in places if place in self._unread)
        return self._failed.get(own) or next(found, None)

    def results(self) -> dict[int, Propagated | SaeflowError]:
        """Return what was measured of each SAE, or why it was not."""
        return {own: self._error(own) or self._result(own) for own in self._upstream}

    def _result(self, own: int) -> Propagated:
        columns = self._of_saes.columns(own)
        missing = {f"ce_{name}": np.full(len(columns["document"]), np.nan) for name in FREEZING}
        pairs = [(other, self._pairs[own, other]) for other in self._upstream[own]]
        return Propagated(
            columns | {name: c for name, c in missing.items() if name not in columns},
            [(self._saes[o], self._of_pairs.columns(n), self._bins[n]) for o, n in pairs],
        )
