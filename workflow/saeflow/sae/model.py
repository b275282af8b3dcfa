"""A sparse autoencoder: its weights and what it computes with them.

`SAE` is all that measures, fine-tuning and a notebook need. The rule that makes a code lives in
the architecture's module (`saeflow.sae.architectures.<name>`), training in
`training`, files in `saved`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from saeflow import registry
from saeflow.config.base import Section
from saeflow.errors import ModelError
from saeflow.sae import input_norm
from saeflow.sae.sparse.codes import Codes, concatenate

ARCHITECTURES = "sae.architectures"

_PRE_BYTES = 1 << 24
_DEVICE_PRE_BYTES = 1 << 30


@dataclass(frozen=True)
class SAE:
    """A sparse autoencoder of one hook.

    Attributes
    ----------
    architecture : str
        Module of `saeflow.sae.architectures` that encodes.
    settings : Section
        That module's ``Settings``: what the rule needs besides the weights (k of a top-k).
    weights : dict
        "W_enc" (d_in, d_sae), "b_enc" (d_sae,), "W_dec" (d_sae, d_in), "b_dec" (d_in,), and what
        else the architecture has.
    metadata : dict
        Where it comes from: hook, model, training; empty for one made by hand.
    """

    architecture: str
    settings: Section
    weights: dict[str, Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def W_enc(self) -> Tensor:
        """Encoder directions, (d_in, d_sae)."""
        return self.weights["W_enc"]

    @property
    def b_enc(self) -> Tensor:
        """Encoder bias, (d_sae,)."""
        return self.weights["b_enc"]

    @property
    def W_dec(self) -> Tensor:
        """Decoder directions, (d_sae, d_in)."""
        return self.weights["W_dec"]

    @property
    def b_dec(self) -> Tensor:
        """Decoder bias, (d_in,)."""
        return self.weights["b_dec"]

    @property
    def d_in(self) -> int:
        """Width of the activations."""
        return self.W_dec.shape[1]

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return self.W_dec.shape[0]

    @property
    def input_norm(self) -> str:
        """What is done to each input before encoding and undone after: see `input_norm.py`."""
        return self.metadata.get("input_norm", "none")

    @property
    def rule(self) -> ModuleType:
        """The architecture's module."""
        return registry.load(ARCHITECTURES, self.architecture)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Return the latents of ``x`` (..., d_in), dense: (..., d_sae); NaN where ``x`` has any."""
        latents = self.encode_sparse(x).dense().view(*x.shape[:-1], self.d_sae)
        unknown = x.isnan().any(dim=-1, keepdim=True).to(latents.device)
        return latents.masked_fill(unknown, torch.nan)

    @torch.no_grad()
    def encode_sparse(self, x: Tensor) -> Codes:
        """Return the active latents of ``x`` (..., d_in), one row per vector."""
        rows, frame = input_norm.apply(self.input_norm, self._rows(x))
        parts = rows.split(self._part_rows) if len(rows) else [rows]
        found = [self.rule.encode_sparse(self.weights, self.settings, part) for part in parts]
        codes = found[0] if len(found) == 1 else concatenate(found)
        return codes if frame is None else replace(codes, frame=frame)

    @torch.no_grad()
    def decode(self, latents: Tensor | Codes) -> Tensor:
        """Return the reconstruction of dense latents (..., d_sae) or of sparse codes (n)."""
        if isinstance(latents, Codes):
            x_hat = latents.decode(self.W_dec).add_(self.b_dec)
            return x_hat if latents.frame is None else latents.frame.restore(x_hat)
        if self.input_norm != "none":
            raise ModelError(
                f"this SAE prepares its inputs ({self.input_norm}); dense latents do not say how to"
                " come back",
                where="SAE.decode",
                remedy="Decode what `encode_sparse` returns.",
            )
        return latents.to(self.W_dec) @ self.W_dec + self.b_dec

    def forward(self, x: Tensor) -> Tensor:
        """Return the reconstruction of ``x`` (..., d_in), of the same shape."""
        return self.decode(self.encode_sparse(x)).view(x.shape)

    __call__ = forward

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> SAE:
        """Return this SAE on another device or in another precision."""
        # a threshold that is rounded to eight bits lets other latents through
        wide = None if dtype is None else torch.promote_types(dtype, torch.float32)
        weights = {
            name: w.to(device=device, dtype=wide if name == "threshold" else dtype)
            for name, w in self.weights.items()
        }
        return SAE(self.architecture, self.settings, weights, self.metadata)

    def encodes_like(self, other: SAE) -> bool:
        """Return whether another SAE has the same encoder, to the bit.

        Those have that come of one parent by fine-tuning its decoder alone.
        """
        if (self.architecture, self.settings, self.input_norm) != (
            other.architecture, other.settings, other.input_norm
        ):  # fmt: skip
            return False
        own, others = self._encoder, other._encoder
        return own.keys() == others.keys() and all(
            torch.equal(w, others[n]) for n, w in own.items()
        )

    @property
    def _encoder(self) -> dict[str, Tensor]:
        """The weights that codes depend on."""
        decoder = {"W_dec"} if self.settings.subtract_b_dec else {"W_dec", "b_dec"}
        return {name: w for name, w in self.weights.items() if name not in decoder}

    def require_width(self, d_model: int, *, where: object) -> None:
        """Raise a `ModelError` unless this SAE reads vectors of width ``d_model``."""
        if d_model != self.d_in:
            raise ModelError(
                "the SAE and the activations differ in width",
                where=where,
                expected=f"activations of width {self.d_in}",
                got=f"width {d_model}",
                remedy="Use activations of the model and hook that the SAE was trained on"
                f" ({self.metadata.get('hook', 'unknown hook')}).",
            )

    @property
    def _part_rows(self) -> int:
        """Inputs encoded at once.

        On a CPU memory of this size is used again without a page fault; on an accelerator it is a
        small part of the whole.
        """
        size = _PRE_BYTES if self.W_enc.device.type == "cpu" else _DEVICE_PRE_BYTES
        return max(256, size // (self.d_sae * self.W_enc.itemsize))

    def _rows(self, x: Tensor) -> Tensor:
        """Return ``x`` as (n, d_in): a code must not depend on how its input is batched."""
        self.require_width(x.shape[-1], where="SAE.encode")
        return x.reshape(-1, self.d_in).to(self.W_enc)


def architecture_settings(name: str, values: Mapping[str, Any]) -> Section:
    """Return the ``Settings`` of an architecture; unknown and missing keys are errors."""
    settings = registry.load(ARCHITECTURES, name).Settings
    return settings.read(values, where=f"architecture {name}")
