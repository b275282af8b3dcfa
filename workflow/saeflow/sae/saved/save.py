"""Writing SAEs: SAELens' directory, with our header in cfg.json and evidence beside the weights.

    cfg.json                   SAELens' keys; ours are metadata.saeflow
    sae_weights.safetensors    the weights, by SAELens' names
    sparsity.safetensors       SAELens' log10 of the latents' density, where rows were at hand
    evidence.safetensors       what the SAE did on a few rows (`evidence.py`), likewise

SAELens, SAEBench and Neuronpedia's tools read these directories unchanged. The header is
``metadata.saeflow``: the architecture under our name and its settings, hook, model, training.
Reading is in `load.py`, which no training imports. Read `save`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from saeflow.files import read_json, write_atomic, write_json
from saeflow.hooks import Hook
from saeflow.sae.model import SAE
from saeflow.sae.saved import evidence

CONFIG_NAME = "cfg.json"
WEIGHTS_NAME = "sae_weights.safetensors"
SPARSITY_NAME = "sparsity.safetensors"
FILES = (CONFIG_NAME, WEIGHTS_NAME, SPARSITY_NAME, evidence.FILE)
"""Every file of an SAE's directory."""

FORMAT = 2
"""Version of the header. 1 had neither this number nor evidence."""

# Decides how SAELens reads the keys: without a version of at least 6 it converts old ones.
SAELENS_VERSION = "6.0.0"
_SAELENS_NORMS = {"layer_norm": "layer_norm", "constant_norm": "constant_norm_rescale"}
_OWN = ("format", "architecture", "architecture_settings", "dtype", "evidence")


def save(
    sae: SAE,
    directory: Path,
    x: Tensor | None = None,
    *,
    target: Tensor | None = None,
    rows: str = "the last batch of the training",
    evidence_of: Path | None = None,
) -> None:
    """Write an SAE as a SAELens directory, which is made; cfg.json comes last.

    Its ``metadata`` becomes the header, with architecture, settings and evidence. That is taken
    from raw activations ``x`` (n, d_in), decoded to ``target`` (n, d_out) or to themselves;
    ``rows`` says in words which they are. Without them there is none, or that of the same SAE in
    ``evidence_of``.
    """
    directory = Path(directory)
    facts = None if evidence_of is None else _taken_over(Path(evidence_of), directory)
    if x is not None:
        facts, tensors, density = evidence.gather(sae, x, target, rows=rows)
        _write(directory / evidence.FILE, tensors)
        _write(directory / SPARSITY_NAME, {"sparsity": evidence.log_sparsity(density)})
    _write(directory / WEIGHTS_NAME, lasting(sae.weights))
    write_json(directory / CONFIG_NAME, config(sae, facts))


def _taken_over(source: Path, directory: Path) -> dict[str, Any] | None:
    """Copy the evidence of an SAE and return what its header says of it."""
    facts = header_of(source).get("evidence")
    if facts is not None:
        for name in (evidence.FILE, SPARSITY_NAME):
            write_atomic(directory / name, (source / name).read_bytes())
    return facts


def lasting(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights without what only a training reads: names that begin with "_"."""
    return {name: w for name, w in weights.items() if not name.startswith("_")}


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    plain = {name: w.detach().cpu().contiguous() for name, w in tensors.items()}
    write_atomic(path, safetensors.torch.save(plain))


def config(sae: SAE, facts: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of cfg.json; ``facts`` is what `evidence.gather` measured."""
    dtype = str(sae.W_dec.dtype).removeprefix("torch.")
    header = {
        **{name: value for name, value in sae.metadata.items() if name not in _OWN},
        "format": FORMAT,
        "architecture": sae.architecture,
        "architecture_settings": sae.settings.plain(),
        "dtype": dtype,
        "input_norm": sae.input_norm,
        "evidence": facts,
    }
    hook = Hook.find(sae.metadata.get("hook"))
    metadata = {
        "sae_lens_version": SAELENS_VERSION,
        "model_name": sae.metadata.get("model", {}).get("name"),
        "context_size": sae.metadata.get("context_length"),
        "hook_name": hook.transformer_lens if hook else sae.metadata.get("hook"),
        "saeflow": header,
    }
    if sae.input_norm == "center":  # SAELens has it done by the model
        metadata["model_from_pretrained_kwargs"] = {"center_writing_weights": True}
    top_k = {}
    if sae.rule.SAELENS == "topk":
        top_k = {"k": sae.settings.k, "rescale_acts_by_decoder_norm": False}
    return {
        "architecture": sae.rule.SAELENS,
        "d_in": sae.W_enc.shape[0],
        "d_sae": sae.d_sae,
        "dtype": dtype,
        "device": "cpu",
        "normalize_activations": _SAELENS_NORMS.get(sae.input_norm, "none"),
        "reshape_activations": "none",
        "apply_b_dec_to_input": sae.settings.subtract_b_dec,
        **top_k,
        "metadata": metadata,
    }


def header_of(directory: Path) -> dict[str, Any]:
    """Return our header of a saved SAE without reading its weights."""
    return read_json(Path(directory) / CONFIG_NAME)["metadata"]["saeflow"]
