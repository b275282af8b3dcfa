"""What the penalty of an SAE's loss is predicted to take from its latents, by its loss.

A law follows from the loss that was minimised, for a feature that keeps a latent of its own: with
the error counted A times (1 / d where it is a mean over dimensions, 1 where it is a sum) and the
penalty c phi(f) on a latent f, the best activation is short by

    c phi'(f) / (2 A)

which is the post's c d / 2 for phi = f and a mean. An SAE that was trained on scaled activations
has the law in those units; files are in the units of the activations themselves, and so is all
that is returned here. Read `law_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from saeflow.sae.schedule import ramp

L1 = "L1"
"""The law of the post: ReLU codes, unit decoder rows, a penalty on the sum of the latents."""
L1_OF_NORMS = "L1 of norms"
"""The same where each latent is weighed by the norm of its decoder row, which is free."""

WITHOUT = {
    "gated": "the penalty is on the gates",
    "jumprelu": "the penalty is on the number of latents",
    "topk": "there is no penalty",
    "batchtopk": "there is no penalty",
    "matryoshka": "there is no penalty",
}
"""Architectures whose loss pushes no latent down, and why."""

Shift = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Law(NamedTuple):
    """What is predicted to be taken from the latents of an SAE."""

    name: str
    """`L1`, `L1_OF_NORMS`, "Lp, p = 0.2", or "none: " and why."""
    shift: Shift
    """From the mean activations of latents where they are active, and the norms of their decoder
    rows, both (n,), to what was taken of each, in units of the latents; NaN for no law."""


def law_of(record: Mapping[str, Any], width: int) -> Law:
    """Return the law of a trained SAE.

    Parameters
    ----------
    record
        The SAE's own: its architecture with settings, and how the training went.
    width
        Width of its reconstructions.
    """
    training = record.get("training") or {}
    kind, settings = record["architecture"], record.get("architecture_settings") or {}
    if kind not in LAWS:
        return _none(WITHOUT.get(kind, f"that of the architecture {kind} is not known"))
    if record.get("input_norm", "none") != "none":
        return _none("it reads rows that are normalised one by one")
    if not settings.get("l1"):
        return _none("its coefficient is zero or not known")
    if record.get("method"):
        return _none("it was fine-tuned already")
    if not (tokens := training.get("tokens")):
        return _none("it was not trained")
    rise = ramp(tokens, settings["l1_warmup_tokens"], tokens)
    name, scaled = LAWS[kind](settings, training, width)
    scale = training["scale"][1]  # of what is reconstructed
    return Law(name, lambda f, norms: rise * scaled(f * scale, norms) / scale)


def _relu(settings: Mapping[str, Any], training: Mapping[str, Any], width: int) -> Law:  # noqa: ARG001
    shift = settings["l1"] * (width if settings["error"] == "mean" else 1) / 2
    if settings["norm_weighted"]:
        # of f |w|, what the latent adds to the reconstruction, as from f with unit rows
        return Law(L1_OF_NORMS, lambda f, norms: shift / norms)  # noqa: ARG005
    return Law(L1, lambda f, norms: np.full_like(f, shift))  # noqa: ARG005


def _p_anneal(settings: Mapping[str, Any], training: Mapping[str, Any], width: int) -> Law:  # noqa: ARG001
    """Return the law of the loss that the annealing ended with."""
    c, p = training["loss"]["coefficient"], training["loss"]["p"]
    return Law(f"Lp, p = {p:.3g}", lambda f, norms: c * p * f ** (p - 1) / 2)  # noqa: ARG005


LAWS = {"relu": _relu, "p_anneal": _p_anneal}
"""Architectures whose loss has a law: from settings, training and width to it, in the units of
training."""


def _none(why: str) -> Law:
    return Law(f"none: {why}", lambda f, norms: np.full_like(f, np.nan))  # noqa: ARG005


def may_have_law(recipe: Mapping[str, Any]) -> bool:
    """Say whether SAEs of an entry under ``saes`` will have a law."""
    pays = recipe.get("l1") or recipe.get("target_l0")
    trained = recipe.get("tokens") != 0 and recipe.get("normalize_input") is None
    return recipe.get("architecture") in LAWS and bool(pays) and trained
