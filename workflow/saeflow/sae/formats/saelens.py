"""SAELens' directory: cfg.json and sae_weights.safetensors, of any version.

Since 6 what describes the language model lies under ``metadata``. Before, all keys lay flat,
hook and activation function had other names, and the architecture could be missing, which then
meant "standard": such a file says ``hook_point`` or ``hook_name`` at its top. A training
checkpoint of SAELens has scaled or whitened inputs, and what to fold beside it. What it calls
batchtopk and matryoshka_batchtopk are checkpoints, too; their threshold is one number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from saeflow.errors import DamagedError, ModelError
from saeflow.files import AGAIN, read_json, write_atomic, write_json
from saeflow.sae.saved import fold
from saeflow.sae.saved.foreign import (
    THRESHOLDED,
    Foreign,
    Place,
    no_architecture,
    number,
    require_shapes,
    sources,
)

TITLE = "SAELens' directory"
CFG, WEIGHTS, _SPARSITY = "cfg.json", "sae_weights.safetensors", "sparsity.safetensors"
_SCALER, _WHITENING = "activation_scaler.json", "activation_whitening.safetensors"
FILES = (
    "cfg.json",
    "sae_weights.safetensors",
    "activation_scaler.json",
    "activation_whitening.safetensors",
    "evidence.safetensors",
    "sparsity.safetensors",
)
_RENAMED = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}


def fits(place: Place) -> bool:
    """Whether there are both files."""
    return {CFG, WEIGHTS} <= place.names


def read(place: Place) -> Foreign:
    """Return the SAE, in the form that version 6 saves for inference."""
    weights = place.tensors(WEIGHTS)
    cfg_file = place.path / CFG
    foreign = from_parts(read_json(cfg_file, remedy=AGAIN), weights, where=cfg_file)
    require_shapes(foreign.cfg, foreign.weights, place.path / WEIGHTS)
    cfg, weights = _unscaled(foreign.cfg, foreign.weights, place)
    if cfg["architecture"] in THRESHOLDED:
        cfg, weights = _with_threshold(cfg, weights, place.path)
    facts = {**foreign.facts, "source": sources(place.path / CFG, place.path / WEIGHTS)}
    if _SPARSITY in place.names:
        facts["l0"] = _l0(place.path / _SPARSITY)
    return Foreign(cfg, weights, facts)


def _l0(file: Path) -> float | None:
    """Return the number of active latents by a file with log10 of the share of tokens of each."""
    found = safetensors.torch.load_file(file).get("sparsity")
    l0 = None if found is None else float((10 ** found.double()).sum())
    return l0 if l0 is not None and math.isfinite(l0) else None


def from_parts(cfg: Mapping[str, Any], weights: dict[str, Tensor], *, where: Path) -> Foreign:
    """Return the SAE that a configuration of any version and its tensors make."""
    metadata = cfg.get("metadata") or {}
    if not metadata.get("sae_lens_version") and not metadata:
        cfg = modern(cfg, where)
        metadata = cfg["metadata"]
    if cfg.get("architecture") is None:
        raise no_architecture(where)
    factor = weights.pop("scaling_factor", None)
    if factor is None:
        factor = weights.pop("finetuning_scaling_factor", None)
    if factor is not None and not torch.allclose(factor, torch.ones_like(factor)):
        # it multiplies the latents before decoding
        weights["W_dec"] = weights["W_dec"] * factor.to(weights["W_dec"])[:, None]
    options = metadata.get("model_from_pretrained_kwargs") or {}
    facts = {
        "hook": metadata.get("hook_name"),
        "model_name": metadata.get("model_name"),
        "context_length": metadata.get("context_size"),
        "center_input": options.get("center_writing_weights"),
        "prepend_bos": metadata.get("prepend_bos"),
        "dataset": metadata.get("dataset_path"),
        "neuronpedia_id": metadata.get("neuronpedia_id"),
    }
    return Foreign(dict(cfg), weights, facts)


def modern(cfg: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """Return a configuration from before version 6 with the keys of 6."""
    flat = {_RENAMED.get(name, name): value for name, value in cfg.items()}
    if "hook_name" not in flat and flat.get("architecture") is None:
        raise no_architecture(where)
    architecture = flat.get("architecture") or "standard"
    function, options = flat.get("activation_fn", "relu"), flat.get("activation_fn_kwargs") or {}
    if function == "topk":
        architecture = "topk"
        flat["k"] = options.get("k", flat.get("k"))
        flat.setdefault("rescale_acts_by_decoder_norm", False)
    elif function != "relu":
        raise ModelError(
            "this SAE's activation function is not known", where=where,
            expected="relu | topk", got=function,
        )  # fmt: skip
    norm = flat.get("normalize_activations")
    if isinstance(norm, bool) or norm is None:
        norm = "expected_average_only_in" if norm else "none"
    by_hook = "hook_z" if "hook_z" in (flat.get("hook_name") or "") else "none"
    about = ("hook_name", "model_name", "context_size", "prepend_bos", "dataset_path",
             "model_from_pretrained_kwargs", "neuronpedia_id")  # fmt: skip
    return {
        **flat,
        "architecture": architecture,
        "apply_b_dec_to_input": flat.get("apply_b_dec_to_input", True),
        "normalize_activations": norm,
        "reshape_activations": flat.get("reshape_activations") or by_hook,
        "metadata": {name: flat[name] for name in about if name in flat},
    }


def _unscaled(
    cfg: dict[str, Any], weights: dict[str, Tensor], place: Place
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Fold into the weights what a training checkpoint does to its inputs."""
    norm = cfg.get("normalize_activations") or "none"
    plain = {**cfg, "normalize_activations": "none"}
    if norm == "expected_average_only_in" and _SCALER in place.names:
        factor = number(read_json(place.path / _SCALER, remedy=AGAIN)["scaling_factor"])
        folded = fold.scale(weights, factor)
        if "topk_threshold" in weights and cfg.get("rescale_acts_by_decoder_norm"):
            folded["topk_threshold"] = weights["topk_threshold"] / factor
        return plain, folded
    if norm == "covariance_whitening" and _WHITENING in place.names:
        found = place.tensors(_WHITENING)
        if cfg.get("rescale_acts_by_decoder_norm"):  # while the norms are those it selected by
            weights = fold.decoder_norms(weights)
            plain["rescale_acts_by_decoder_norm"] = False
        maps = [found[name] for name in ("mean", "whitening_matrix", "unwhitening_matrix")]
        subtracted = cfg.get("apply_b_dec_to_input", True)
        return plain, fold.affine(weights, *maps, subtracted=subtracted)
    return cfg, weights


def _with_threshold(
    cfg: dict[str, Any], weights: dict[str, Tensor], where: Path
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the jumprelu SAE that SAELens saves of such a checkpoint for inference."""
    weights = dict(weights)
    if "topk_threshold" not in weights:
        raise DamagedError("the threshold is missing", where=where, expected="topk_threshold")
    threshold = number(weights.pop("topk_threshold"))
    if cfg.get("rescale_acts_by_decoder_norm"):  # the threshold is one of latents times norm
        weights = fold.decoder_norms(weights)
    weights["threshold"] = torch.full_like(weights["b_enc"], threshold)
    kept = {name: v for name, v in cfg.items() if name not in ("k", "rescale_acts_by_decoder_norm")}
    return {**kept, "architecture": "jumprelu"}, weights


def write(foreign: Foreign, directory: Path) -> None:
    """Write the directory."""
    write_atomic(directory / WEIGHTS, safetensors.torch.save(foreign.weights))
    write_json(directory / CFG, foreign.cfg)
