"""The loss of every method but the baseline: the squared error, in some of the weights.

With s a factor per latent,

    x_hat = (s * f) W_dec + b_dec,  loss = mean over batch and dimensions of (x_hat - x)^2

without a sparsity term. The factor ends in the decoder's rows, so that their norm is the
effective scale. The methods differ in what is trainable (`saeflow.finetune.methods`). Read
`SquaredError`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from saeflow.finetune.methods import leaves_encoder, refused
from saeflow.sae.model import SAE
from saeflow.sae.sparse.codes import Codes
from saeflow.sae.sparse.dense import DenseCodes
from saeflow.sae.steps.backward import encoder_inputs
from saeflow.sae.steps.initial import transposed
from saeflow.sae.steps.step import Batch, State, Terms, Weights, Workspace, sum_of_squares

_EPSILON = 1e-12


class Forward(NamedTuple):
    """A forward pass of `SquaredError`.

    ``sae`` is the parent with the trained weights in place, but for the scale, of which each
    latent's ``per_entry`` fits the codes' values; ``x_hat`` (n, d_out); ``pullback`` turns d loss /
    d x_hat into that of the scaled latents, None for a frozen encoder.
    """

    sae: SAE
    codes: Codes | DenseCodes
    per_entry: Tensor
    x_hat: Tensor
    pullback: Callable[[Tensor], Tensor] | None


class SquaredError:
    """The squared error of a parent SAE, fitted in some of its weights and a factor per latent.

    ``trainable`` is "scale" and any of "W_dec", "b_dec", "W_enc", "b_enc". Where both sides of the
    SAE move, it must not subtract b_dec from its input.

    Attributes
    ----------
    frozen_encoder : bool
        Whether the codes stay the parent's.
    buffers, unit_rows : tuple of str
        As of `saeflow.sae.training.descent.Objective`. W_dec keeps rows of norm 1, as in training
        (the post does not say): the scale holds the size and W_dec the direction, so that a
        learning rate means for both what it meant there.
    """

    buffers = ()

    def __init__(self, parent: SAE, trainable: Sequence[str]) -> None:
        self.parent, self._trainable = parent, tuple(trainable)
        self.frozen_encoder = leaves_encoder(trainable)
        self.unit_rows = ("W_dec",) if "W_dec" in trainable else ()
        if not self.frozen_encoder and not parent.rule.Settings.LATENT_IS_PRE_ACTIVATION:
            raise refused(parent.architecture)

    def initial(self) -> dict[str, Tensor]:
        """Return the trainable weights at the start: the parent itself."""
        parent = self.parent
        found = {"scale": parent.W_dec.new_ones(parent.d_sae)}
        for name in self._trainable[1:]:
            found[name] = parent.weights[name].clone()
        if "W_enc" in found:
            found["W_enc"] = transposed(parent.W_enc.T)
        if "W_dec" in found:
            found["scale"] = torch.linalg.vector_norm(parent.W_dec, dim=1)
            found["W_dec"] = parent.W_dec / found["scale"].clamp_min(_EPSILON)[:, None]
        return found

    def step(
        self, weights: Weights, gradients: Weights, batch: Batch, state: State, codes: Codes | None
    ) -> Terms:
        """Write the gradients on a batch and return the terms.

        ``codes`` are the parent's codes of the batch where the encoder is frozen, else None.
        """
        forward = self.forward(weights, batch, codes, state.workspace)
        error = forward.x_hat.sub_(batch.target)
        total = sum_of_squares(error)
        self.backward(weights, gradients, batch, forward, error.mul_(2 / error.numel()))
        found = forward.codes
        fired = found.by_latent.counts > 0
        return Terms(total / batch.target.numel(), total, 0.0, found.n_active, fired)

    def forward(
        self, weights: Weights, batch: Batch, codes: Codes | None, workspace: Workspace
    ) -> Forward:
        """Return the reconstruction of a batch, and what `backward` needs."""
        sae = self._moved(weights)
        if codes is None:
            codes = sae.rule.encode_sparse(sae.weights, sae.settings, batch.x, workspace)
        per_entry = codes.at_entries(weights["scale"])
        scaled = codes.with_values(codes.values * per_entry)
        if self.frozen_encoder:
            x_hat, pullback = scaled.decode(sae.W_dec), None
        else:
            x_hat, pullback = scaled.decode_with_pullback(sae.W_dec)
        return Forward(sae, codes, per_entry, x_hat.add_(sae.b_dec), pullback)

    def backward(
        self,
        weights: Weights,
        gradients: Weights,
        batch: Batch,
        forward: Forward,
        d_x_hat: Tensor,
    ) -> None:
        """Write the gradients of any loss of x_hat, given its gradient ``d_x_hat`` (n, d_out)."""
        codes, sae = forward.codes, forward.sae
        self._write_decoder(weights, gradients, codes, d_x_hat)
        if forward.pullback is not None:
            d_pre = codes.masked(forward.pullback(d_x_hat).mul_(forward.per_entry))
            gradients["b_enc"].copy_(codes.by_latent.sum(d_pre))
            if "W_enc" in weights:
                inputs = encoder_inputs(sae.weights, sae.settings, batch.x)
                gradients["W_enc"].T.copy_(codes.by_latent.matmul(d_pre, inputs))

    def fold(self, weights: Weights) -> SAE:
        """Return the SAE that computes the same without a factor."""
        sae = self._moved(weights)
        W_dec = sae.W_dec * weights["scale"][:, None]
        return SAE(sae.architecture, sae.settings, {**sae.weights, "W_dec": W_dec}, sae.metadata)

    def _moved(self, weights: Weights) -> SAE:
        """Return the parent with the trained weights in place, but for the scale."""
        moved = {name: w for name, w in weights.items() if name != "scale"}
        parent = self.parent
        own = {**parent.weights, **moved}
        return SAE(parent.architecture, parent.settings, own, parent.metadata)

    def _write_decoder(
        self, weights: Weights, gradients: Weights, codes: Codes | DenseCodes, d_x_hat: Tensor
    ) -> None:
        """Write the gradients of scale, W_dec and b_dec; d_x_hat is d loss / d x_hat."""
        W_dec = weights.get("W_dec", self.parent.W_dec)
        by_row = codes.by_latent.matmul(codes.values, d_x_hat)
        if "W_dec" in weights:
            torch.mul(by_row, weights["scale"][:, None], out=gradients["W_dec"])
        torch.sum(by_row.mul_(W_dec), 1, out=gradients["scale"])
        if "b_dec" in weights:
            torch.sum(d_x_hat, 0, out=gradients["b_dec"])
