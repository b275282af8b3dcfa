"""What is looked at in one batch: what SAEs make of activations, clean or changed, and losses.

Special tokens keep their activations and are neither read nor scored. Read `Look`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch.linalg import vecdot

from saeflow.errors import ModelError
from saeflow.measures.encoders import Coder
from saeflow.measures.exchange import Marked
from saeflow.measures.sums import Entries, ratio
from saeflow.metrics.propagation import FULL, INDEX, N_BINS, QUANTITIES, RANGE, WAYS, bins_of
from saeflow.models.loss import scored_tokens, token_losses
from saeflow.models.propagate import Propagation
from saeflow.tokens.sequences import Batch


class Look:
    """One batch, on the device of the model: its clean run, and what is asked of changed ones.

    Attributes
    ----------
    clean : Clean
        The untouched model.
    documents, scored_documents : ndarray (n,), (n_scored,)
        The document of each ordinary token, and of each that is predicted.
    ce_clean : ndarray (n_scored,) float64
        The untouched model's losses, in nats.
    """

    def __init__(self, batch: Batch, model: Propagation) -> None:
        self.clean = model.clean(batch.input_ids)
        self._marked, self._ids, self._head = Marked(batch), batch.input_ids, model.head
        self._scored = scored_tokens(batch.real, ~batch.ordinary)
        self.scored_documents = batch.documents[self._scored.cpu().numpy()]
        rows, self._index = batch.ordinary.cpu().numpy().nonzero()
        self.documents = batch.documents[rows, self._index]
        self.ce_clean = self.losses(self.clean.states, "clean")

    def losses(self, states: torch.Tensor, name: str) -> np.ndarray:
        """Return the loss (n_scored,) float64 of each scored token from final states."""
        found = token_losses(self._head, states, self._ids, self._scored)
        found = found[self._scored]
        if not found.isfinite().all():
            raise ModelError(
                "the model's predictions are no longer finite numbers",
                where=f"propagation > {name}",
                got=f"{int((~found.isfinite()).sum())} of {len(found)} losses",
                remedy="See whether the SAE's reconstructions are far larger than the activations.",
            )
        return found.double().cpu().numpy()

    def read(self, coder: Coder, x: torch.Tensor) -> tuple[dict[str, np.ndarray], torch.Tensor]:
        """Return each quantity (n,) of activations (batch, seq, d), and the SAE's x_hat (n, d)."""
        x = self._marked.taken(x)
        codes = coder.encode_sparse(x)
        x_hat = coder.decode(codes)
        exact, error = x.double(), x_hat.double() - x.double()
        squared = torch.stack([vecdot(error, error), vecdot(exact, exact).sqrt()]).cpu().numpy()
        active = Entries.of(codes).sums["active"]
        return {"squared_error": squared[0], "l0": active, "norm": squared[1]}, x_hat

    def exchange(self, x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """Return activations (batch, seq, d) with ``value`` (n, d) in the ordinary rows."""
        return self._marked.put(x, value)

    def exchanging(self, coder: Coder) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the function that puts an SAE's reconstructions in the ordinary rows."""
        return lambda x: self.exchange(x, coder.decode(coder.encode_sparse(self._marked.taken(x))))

    def compare(
        self,
        clean: Mapping[str, np.ndarray],
        changed: Mapping[str, Mapping[str, np.ndarray]],
        bins: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Return what is summed of a pair, (n,) each, and count its ratios in ``bins``."""
        at = self._index == INDEX
        within = (self._index >= RANGE[0]) & (self._index <= RANGE[1])
        sums = {"tokens": np.ones(len(at)), "at_index": at.astype(np.float64)}
        for number, name in enumerate(QUANTITIES):
            below = clean[name]
            compared = below > 0
            inverse = ratio(np.ones_like(below), below)
            sums |= {
                name: below,
                f"{name}_compared": compared.astype(np.float64),
                f"{name}_at_index": np.where(at, changed[FULL][name], 0.0),
                f"{name}_inverse": np.where(within, inverse, 0.0),
                f"{name}_inverted": (within & compared).astype(np.float64),
            }
            for place, way in enumerate(WAYS):
                found = ratio(changed[way][name], below)
                sums |= {f"{name}_{way}": changed[way][name], f"{name}_{way}_ratio": found}
                counts = np.bincount(bins_of(found[compared]), minlength=N_BINS)
                bins[number, place] += counts.astype(bins.dtype)
        return sums
