"""What an SAE did on a few rows when it was saved, so that a reader can see whether it still does.

Beside the weights lies `FILE` with a few raw activations, their latents and reconstructions, and
the mean and standard deviation of more of them; numbers go into the header. A file that is read
by another rule than it was trained with (a TopK as a ReLU), whose weights were exchanged or
scaled, or that is used at another hook, shows. Read `gather` and `verify`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saeflow.errors import ModelError
from saeflow.sae.model import SAE

FILE = "evidence.safetensors"
N_EXAMPLES = 8
# Relative to the reconstructions' norm. Rounding on another machine moves them by 1e-6, and near
# a tie of a top-k by the smallest of k values; another rule or layer moves them by tenths.
TOLERANCE = 1e-2
_L0_TOLERANCE = 0.5
_LEAST_DENSITY = 1e-10


@torch.no_grad()
def gather(
    sae: SAE, x: Tensor, target: Tensor | None = None, *, rows: str
) -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    """Return what an SAE does on raw ``x`` (n, d_in), decoded to ``target`` or to ``x`` itself.

    ``rows`` says in words which activations these are. Returned are numbers for the header,
    tensors for `FILE` ("mean" and "std" (d_in,) of all rows, the rest of the first ones), and the
    share of the rows on which each latent is active, (d_sae,).
    """
    x = x.detach().to(sae.W_dec)
    target = x if target is None else target.detach().to(sae.W_dec)
    codes = sae.encode_sparse(x)
    examples = x[:N_EXAMPLES].clone()
    shown = sae.encode_sparse(examples)
    facts = {
        "rows": rows,
        "n_rows": len(x),
        "n_examples": len(examples),
        "tolerance": TOLERANCE,
        "l0": len(codes.values) / len(x),
        "fvu": _fvu(sae.decode(codes), target),
        "examples_l0": len(shown.values) / len(examples),
        "mean_norm": float(x.double().norm(dim=1).mean()),
        "rms": float(x.double().square().mean().sqrt()),
    }
    tensors = {
        "x": examples,
        "x_hat": sae.decode(shown),
        "values": shown.values,
        "index": shown.index,
        "offsets": shown.offsets,
        "mean": x.double().mean(0).float(),
        "std": x.double().std(0, unbiased=False).float(),
    }
    density = torch.bincount(codes.index.long(), minlength=sae.d_sae).double() / len(x)
    return facts, tensors, density


def _fvu(x_hat: Tensor, target: Tensor) -> float | None:
    """Return the fraction of variance unexplained; None where nothing varies."""
    error = (x_hat.double() - target.double()).square().sum()
    variance = (target.double() - target.double().mean(0)).square().sum()
    return float(error / variance) if variance > 0 else None


def log_sparsity(density: Tensor) -> Tensor:
    """Return SAELens' ``sparsity``: log10(density + 1e-10), (d_sae,) float32."""
    return torch.log10(density.double() + _LEAST_DENSITY).float()


@torch.no_grad()
def verify(
    sae: SAE, facts: Mapping[str, Any], tensors: Mapping[str, Tensor], *, where: object
) -> None:
    """Raise a `ModelError` unless an SAE does on its examples what it did when it was saved.

    ``facts`` and ``tensors`` are what `gather` returned.
    """
    x, expected = tensors["x"].to(sae.W_dec), tensors["x_hat"].to(sae.W_dec)
    codes = sae.encode_sparse(x)
    l0, wanted = len(codes.values) / len(x), facts["examples_l0"]
    if abs(l0 - wanted) > max(_L0_TOLERANCE, facts["tolerance"] * wanted):
        raise ModelError(
            f"read as a {sae.architecture} SAE, its l0 is not what it was when it was saved",
            where=where,
            expected=f"an l0 of {wanted:g} on its {len(x)} stored rows",
            got=f"{l0:g}",
            remedy="Its architecture or its settings are wrong, or its weights are not its own."
            " To read it all the same, accept 'evidence'.",
        )
    difference = float((sae.decode(codes) - expected).norm() / expected.norm().clamp(min=1e-30))
    if not difference <= facts["tolerance"]:
        raise ModelError(
            f"read as a {sae.architecture} SAE, it does not reconstruct what it did when saved",
            where=where,
            expected=f"the stored reconstructions within {facts['tolerance']:g} of their norm",
            got=f"{difference:.3g}",
            remedy="Its weights are not those that were saved, or were scaled."
            " To read it all the same, accept 'evidence'.",
        )
