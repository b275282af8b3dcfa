"""The loss of the baseline: the SAE's own, with its sparsity term, in all of its weights."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from saeflow.errors import ConfigError
from saeflow.sae import penalties
from saeflow.sae.model import SAE
from saeflow.sae.scale import fold
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.steps.initial import transposed
from saeflow.sae.steps.step import Batch, State, Terms, Weights

# Tokens after which every schedule of a training is over.
_SCHEDULES_OVER = 1 << 53


class OwnLoss:
    """The loss that the parent was trained with, in all its weights: `SquaredError`'s interface.

    Coefficients have their last values, and mean what they meant in training: an SAE that was
    trained on scaled activations is tuned on activations of that scale.
    """

    frozen_encoder = False

    def __init__(self, parent: SAE) -> None:
        self.parent = parent
        self._module = parent.rule
        self.unit_rows = ("W_dec",) if parent.settings.unit_norm_decoder else ()
        self.buffers = self._module.BUFFERS
        trained = parent.metadata.get("training") or {}
        self._scale = float(trained.get("scale", (1.0,))[0])
        recipe = parent.metadata.get("settings") or {}
        self._penalties = recipe.get("penalties", {})
        self._settings, self._held = parent.settings, {}
        if "loss" in trained:
            self._settings, self._held = self._module.held_loss(
                parent.settings, trained["loss"], parent.W_dec
            )
        self._refuse_unknown_loss()

    def _refuse_unknown_loss(self) -> None:
        """Raise a `ConfigError` where the file does not say what the loss was."""
        parent = self.parent
        known = {**parent.weights, **self._held}
        gone = [name for name in self.buffers if name not in known]
        if gone:
            raise ConfigError(
                "the baseline needs what this architecture's training remembered, and the file of"
                " this SAE does not say it",
                expected=f"{', '.join(gone)} by metadata > training > loss",
                got=f"a {parent.architecture} SAE without",
                remedy="Leave the method out for this SAE, or train it anew.",
            )
        for name in ("l1", "l0_coef"):
            if getattr(parent.settings, name, None) == 0:
                raise ConfigError(
                    "the baseline needs the coefficient that the SAE was trained with",
                    got=f"a {parent.architecture} SAE with {name} = 0, as one imported from"
                    " elsewhere has",
                    remedy="Leave the method out for this SAE.",
                )

    def initial(self) -> dict[str, Tensor]:
        """Return the parent's weights, as they are for scaled activations."""
        found = fold(self.parent.weights, 1 / self._scale, 1 / self._scale)
        found = {name: w.clone() for name, w in found.items()}
        held = {name: w.clone() for name, w in self._held.items()}
        return {**found, "W_enc": transposed(found["W_enc"].T), **held}

    def step(
        self, weights: Weights, gradients: Weights, batch: Batch, state: State, _: Codes | None
    ) -> Terms:
        """Write the gradients of the loss and return its terms, the error of unscaled targets."""
        parent = self.parent
        if self._scale != 1.0:
            batch = Batch(batch.x * self._scale)
        state = dataclasses.replace(state, tokens=_SCHEDULES_OVER)
        terms = self._module.step(weights, gradients, self._settings, batch, state)
        sae = SAE(parent.architecture, parent.settings, dict(weights))
        terms = penalties.add(self._penalties, sae, gradients, batch, state, terms)
        return dataclasses.replace(terms, error=terms.error / self._scale**2)

    def fold(self, weights: Weights) -> SAE:
        """Return the SAE of unscaled activations."""
        parent = self.parent
        kept = {name: w for name, w in weights.items() if name not in self._held}
        folded = fold(kept, self._scale, self._scale)
        return SAE(parent.architecture, parent.settings, folded, parent.metadata)
