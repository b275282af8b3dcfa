"""Writing SAEs: SAELens' directory, cfg.json and sae_weights.safetensors, with our header in it.

SAELens, SAEBench and Neuronpedia's tools read these directories unchanged. Our header is
``metadata.saeflow`` in cfg.json: the architecture under our name and its settings, hook, model,
training. Reading is in `files.py`, which no training imports. Read `save`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import safetensors.torch

from saeflow.files import read_json, write_atomic, write_json
from saeflow.sae.model import SAE, describe

CONFIG_NAME = "cfg.json"
WEIGHTS_NAME = "sae_weights.safetensors"
# Decides how SAELens reads the keys: without a version of at least 6 it converts old ones.
SAELENS_VERSION = "6.0.0"
_SITES = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")


def save(sae: SAE, directory: Path) -> None:
    """Write an SAE as a SAELens directory; cfg.json comes last.

    The header is ``sae.metadata`` with the architecture and its settings added.
    """
    weights = {name: w.detach().cpu().contiguous() for name, w in sae.weights.items()}
    content = safetensors.torch.save(weights)
    write_atomic(Path(directory) / WEIGHTS_NAME, content)
    write_json(Path(directory) / CONFIG_NAME, config(sae))


def config(sae: SAE) -> dict[str, Any]:
    """Return the content of cfg.json."""
    header = {
        **sae.metadata,
        "architecture": sae.architecture,
        "architecture_settings": describe(sae.settings),
    }
    return {
        "architecture": sae.rule.SAELENS,
        "d_in": sae.d_in,
        "d_sae": sae.d_sae,
        "dtype": str(sae.W_dec.dtype).removeprefix("torch."),
        "device": "cpu",
        "normalize_activations": "none",
        "reshape_activations": "none",
        **sae.rule.to_saelens(sae.settings),
        "metadata": {
            "sae_lens_version": SAELENS_VERSION,
            "model_name": sae.metadata.get("model", {}).get("name"),
            "context_size": sae.metadata.get("context_length"),
            "hook_name": transformer_lens_hook(sae.metadata.get("hook")),
            "saeflow": header,
        },
    }


def transformer_lens_hook(hook: str | None) -> str | None:
    """Return TransformerLens' name of our hook: ``resid_post.3`` is blocks.3.hook_resid_post."""
    if hook is None:
        return None
    site, _, block = hook.partition(".")
    return f"blocks.{block}.hook_{site}" if site in _SITES else hook


def header_of(directory: Path) -> dict[str, Any]:
    """Return our header of a saved SAE without reading its weights."""
    return read_json(Path(directory) / CONFIG_NAME)["metadata"]["saeflow"]
