"""Fine-tune a trained SAE by one method: the `Task` that the training loop drives.

The encoder is frozen, so the codes of a batch are computed once for all methods of an SAE and
the result is active on the same tokens as its parent. Read `TuneTask`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saeflow import registry
from saeflow.files import read_json
from saeflow.sae.codes import Codes
from saeflow.sae.files import load_sae
from saeflow.sae.model import SAE
from saeflow.sae.settings import RunSettings, split
from saeflow.sae.step import Batch, State, Terms
from saeflow.sae.sweep import activations_header

METHODS = "finetune.methods"


@dataclass(frozen=True, kw_only=True)
class TuneSettings(RunSettings):
    """How one SAE is fine-tuned, whatever the method.

    Attributes
    ----------
    method : str
        Module of `saeflow.finetune.methods`.
    """

    method: str


class TuneTask:
    """A trained SAE to be fitted again without its sparsity term.

    Parameters
    ----------
    settings
        Resolved settings of the job: keys of `TuneSettings` and of the method's ``Settings``.
    parent_record
        The record of the SAE.
    activations
        The record of the activations.
    device
        Where to compute.

    Attributes
    ----------
    run : TuneSettings
        The settings that all methods share.
    d_in, d_sae : int
        Widths.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        parent_record: Path,
        *,
        activations: Path,
        device: torch.device,
    ) -> None:
        self._method = registry.load(METHODS, settings["method"])
        where = f"settings of the method {settings['method']}"
        self.run, _ = split(settings, TuneSettings, self._method.Settings, where=where)
        self._record, self._settings = Path(parent_record), dict(settings)
        self.parent = load_sae(parent_record).to(device)
        facts = read_json(activations)
        self.parent.require_width(facts["d_model"], where=activations)
        self._origin = activations_header(facts)
        self.d_in, self.d_sae = self.parent.d_in, self.parent.d_sae
        self.unit_rows = self._method.UNIT_ROWS
        self.name = f"{parent_record} > {settings['method']}"

    def initial(self, x: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """Return the trainable weights at the start."""
        return self._method.initial(self.parent)

    def step(
        self,
        weights: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        batch: Batch,
        state: State,  # noqa: ARG002
    ) -> Terms:
        """Write the gradients of the squared error and return its terms."""
        codes = self._codes(batch)
        total = self._method.step(weights, gradients, self.parent, batch.x, codes)
        fired = codes.by_latent.counts > 0
        return Terms(total / batch.x.numel(), total, 0.0, len(codes.values), fired)

    def _codes(self, batch: Batch) -> Codes:
        """Return the parent's codes of the batch, computed once for all its methods."""
        if self._record not in batch.memo:
            batch.memo[self._record] = self.parent.encode_sparse(batch.x)
        return batch.memo[self._record]

    def result(self, weights: Mapping[str, Tensor], training: Mapping[str, Any]) -> SAE:
        """Return the fine-tuned SAE: an SAE of the same architecture."""
        parent = with_own_input_bias(self.parent) if "b_dec" in weights else self.parent
        inherited = {
            name: value
            for name, value in self.parent.metadata.items()
            if name not in ("architecture", "architecture_settings", "settings", "training")
        }
        header = {
            **inherited,
            **self._origin,
            "d_in": self.d_in,
            "d_sae": self.d_sae,
            "parent": read_json(self._record)["identity"],
            "method": self.run.method,
            "settings": self._settings,
            "training": dict(training),
        }
        return SAE(parent.architecture, parent.settings, self._method.fold(parent, weights), header)


def with_own_input_bias(sae: SAE) -> SAE:
    """Return an SAE that encodes the same but does not subtract b_dec from its input.

    Where the encoder subtracts the decoder's bias, moving that bias would move the codes; here
    it is moved into b_enc first. The codes agree within rounding; they are the same bits where
    nothing is subtracted.
    """
    if not sae.settings.subtract_b_dec:
        return sae
    shift = sae.b_dec.double() @ sae.W_enc.double()
    weights = {**sae.weights, "b_enc": (sae.b_enc.double() - shift).to(sae.b_enc)}
    settings = dataclasses.replace(sae.settings, subtract_b_dec=False)
    return SAE(sae.architecture, settings, weights, sae.metadata)


def effective_scale(parent: SAE, tuned: SAE) -> Tensor:
    """Return |w_i after| / |w_i before| of each latent's decoder row, (d_sae,).

    It does not depend on how a method splits a row's size between a factor and the row.
    """
    return tuned.W_dec.norm(dim=1) / parent.W_dec.norm(dim=1)


def rotation(parent: SAE, tuned: SAE) -> Tensor:
    """Return the cosine between each latent's decoder row before and after, (d_sae,)."""
    return torch.cosine_similarity(parent.W_dec, tuned.W_dec, dim=1)
