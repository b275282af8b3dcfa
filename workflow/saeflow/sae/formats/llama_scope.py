"""Llama Scope's directory (OpenMOSS): hyperparams.json and checkpoints/final.safetensors.

With ``norm_activation: dataset-wise`` its encoder reads x s, s = sqrt(d_in) / the data's mean |x|,
and its decoder's output is divided by s; both are folded into the weights. Latents stay in the
units of x s.

    z = W (x s - b_dec where apply_decoder_bias_to_pre_encoder) + b_enc
    jumprelu    z where z > jump_relu_threshold s: the published number is one of latents in the
                units of x, as its library has them at inference
    topk        the top_k largest ReLU(z), with ``sparsity_include_decoder_norm`` by z times the
                norm of the decoder row; read as unit rows, by which latents are multiplied
    relu        ReLU(z)

A jumprelu's ``top_k`` is of its training, before the threshold was chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from saeflow.errors import ConfigError, ModelError
from saeflow.files import read_json
from saeflow.sae.saved import fold
from saeflow.sae.saved.foreign import (
    Foreign,
    Place,
    no_counterpart,
    require_plain,
    require_shapes,
    sources,
)

TITLE = "Llama Scope's directory"
CFG, CHECKPOINTS = "hyperparams.json", "checkpoints"
_WEIGHTS = ("pruned.safetensors", "final.safetensors")
"""In the order in which its library looks for them."""
FILES = ("hyperparams.json", "checkpoints/pruned.safetensors", "checkpoints/final.safetensors")
_ARCHITECTURES = {"jumprelu": "jumprelu", "topk": "topk", "relu": "standard"}


def fits(place: Place) -> bool:
    """Whether there are its hyperparameters."""
    return CFG in place.names


def read(place: Place) -> Foreign:
    """Return the SAE, on activations as they are."""
    where = place.path / CFG
    config = read_json(where)
    _refuse(config, where)
    file = _weights(place)
    found = place.tensors(str(file.relative_to(place.path)))
    weights = {
        "W_enc": found["encoder.weight"].T.contiguous().float(),
        "b_enc": found["encoder.bias"].float(),
        "W_dec": found["decoder.weight"].T.contiguous().float(),
    }
    bias = config.get("use_decoder_bias", True)
    weights["b_dec"] = (
        found["decoder.bias"].float() if bias else torch.zeros(weights["W_dec"].shape[-1])
    )
    d_in, function = config["d_model"], str(config["act_fn"]).lower()
    d_sae = config.get("d_sae") or d_in * config["expansion_factor"]
    scale = _scale(config, where)
    cfg: dict[str, Any] = {
        "architecture": _ARCHITECTURES[function],
        "apply_b_dec_to_input": bias and config.get("apply_decoder_bias_to_pre_encoder", True),
        "d_in": d_in,
        "d_sae": d_sae,
    }
    if function == "jumprelu":
        weights["threshold"] = torch.full((d_sae,), config["jump_relu_threshold"] * scale)
    if function == "topk":
        cfg["k"] = config["top_k"]
        cfg["rescale_acts_by_decoder_norm"] = config.get("sparsity_include_decoder_norm", True)
    require_shapes(cfg, weights, file)
    if cfg.pop("rescale_acts_by_decoder_norm", False):  # while the norms are those it selects by
        weights = fold.decoder_norms(weights)
    facts = {
        "hook": config.get("hook_point_in"),
        "model_name": config.get("model_name"),
        "center_input": False,  # Llama's norms take no mean off
        "source": sources(where, file),
    }
    return Foreign(cfg, fold.scale(weights, scale), facts)


def _weights(place: Place) -> Path:
    directory = place.path / CHECKPOINTS
    for name in _WEIGHTS:
        if (directory / name).is_file():
            return directory / name
    there = sorted(file.name for file in directory.iterdir()) if directory.is_dir() else []
    raise ModelError(
        "the weights are missing",
        where=directory,
        expected=" or ".join(_WEIGHTS),
        got=", ".join(there) or "nothing",
        remedy="Copy or fetch the directory again, with what is below it.",
    )


def _refuse(config: Mapping[str, Any], where: Path) -> None:
    function = str(config.get("act_fn")).lower()
    if function not in _ARCHITECTURES:
        raise ModelError(
            "this SAE's activation function is not known", where=where,
            expected=" | ".join(_ARCHITECTURES), got=function,
        )  # fmt: skip
    here = config.get("hook_point_in")
    plain = {
        "hook_point_out": (here, "reconstructs another place than it reads"),
        "use_glu_encoder": (False, "a second path that gates the encoder"),
    }
    require_plain(config, plain, where)


def _scale(config: Mapping[str, Any], where: Path) -> float:
    """Return what the encoder's input is multiplied by."""
    kind = config.get("norm_activation", "dataset-wise")
    if kind == "inference":  # it is in the weights
        return 1.0
    if kind != "dataset-wise":
        raise no_counterpart(
            "its inputs are scaled by their own norms", "norm_activation",
            "dataset-wise | inference", kind, where,
        )  # fmt: skip
    norms = config.get("dataset_average_activation_norm") or {}
    size = norms.get("in", norms.get(str(config.get("hook_point_in"))))
    if not isinstance(size, int | float) or not 0 < size < math.inf:
        raise ConfigError(
            "the mean norm of the activations is missing", where=where,
            expected="dataset_average_activation_norm > in, a number above 0", got=size,
            remedy="Without it the SAE cannot be used on activations as they are; copy the file"
            " from where the SAE was published.",
        )  # fmt: skip
    return math.sqrt(config["d_model"]) / size
