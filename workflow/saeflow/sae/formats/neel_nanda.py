"""Neel Nanda's 1L-Sparse-Autoencoder: ``{version}.pt`` beside ``{version}_cfg.json``.

The attention-output SAEs of Kissane and others, and jacobcd52's, have the same files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saeflow.files import AGAIN, read_json
from saeflow.hooks import SITES
from saeflow.sae.saved.foreign import Foreign, Place, sources

TITLE = "Neel Nanda's state dict"
_KEYS = {"W_enc", "b_enc", "W_dec", "b_dec"}


def fits(place: Place) -> bool:
    """Whether the file holds the tensors and its configuration lies beside it."""
    if not place.path.is_file() or not _cfg(place.path).is_file():
        return False
    return isinstance(place.content, Mapping) and place.content.keys() >= _KEYS


def read(place: Place) -> Foreign:
    """Return the SAE: ReLU latents of x - b_dec."""
    cfg = read_json(_cfg(place.path), remedy=AGAIN)
    weights = {name: place.content[name] for name in sorted(_KEYS)}
    hook = cfg.get("act_name") or _hook(cfg)
    facts = {
        "hook": hook,
        "model_name": cfg.get("model_name"),
        "context_length": cfg.get("seq_len"),
        # TransformerLens' default takes the mean off what is written to the residual stream
        "center_input": None if hook is None else any(site in hook for site in SITES),
        "source": sources(place.path, _cfg(place.path)),
    }
    rule = {"architecture": "standard", "apply_b_dec_to_input": True}
    return Foreign(rule, weights, facts)


def _cfg(path: Path) -> Path:
    return path.with_name(f"{path.stem}_cfg.json")


def _hook(cfg: Mapping[str, Any]) -> str | None:
    site, layer = cfg.get("site"), cfg.get("layer")
    return None if site is None or layer is None else f"blocks.{layer}.hook_{site}"
