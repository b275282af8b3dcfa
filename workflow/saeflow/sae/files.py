"""Reading SAEs: the directories that `save.py` writes, and those of SAELens.

A directory without our header is read by SAELens' keys alone. Read `load_sae`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from saeflow import registry
from saeflow.errors import DamagedError, ModelError
from saeflow.files import read_json
from saeflow.sae.model import ARCHITECTURES, SAE, architecture_settings
from saeflow.sae.save import CONFIG_NAME, WEIGHTS_NAME
from saeflow.work import MANIFEST, bulk_of


def load_sae(path: Path | str) -> SAE:
    """Read an SAE from the record of a job (sae.json) or from a SAELens directory.

    Raises
    ------
    DamagedError
        If a file is missing or torn, or the tensors do not fit the header.
    ModelError
        If the header names no architecture or one that is not known.
    """
    path = Path(path)
    if path.is_dir():
        directory = path
    else:  # a manifest lies in the bulk itself: a finished SAE that is not yet published
        directory = path.parent if path.name == MANIFEST else bulk_of(path)
    cfg = read_json(directory / CONFIG_NAME)
    weights = _read_weights(directory / WEIGHTS_NAME)
    header = cfg.get("metadata", {}).get("saeflow")
    if header is None:
        sae = _from_saelens(cfg, weights, directory)
    else:
        if "architecture" not in header or cfg.get("architecture") is None:
            raise _no_architecture(directory)
        settings = architecture_settings(header["architecture"], header["architecture_settings"])
        sae = SAE(header["architecture"], settings, weights, header)
        if cfg["architecture"] != sae.rule.SAELENS:
            raise DamagedError(
                "cfg.json contradicts itself about the architecture",
                where=directory / CONFIG_NAME,
                expected=sae.rule.SAELENS,
                got=cfg["architecture"],
            )
    _check_shapes(sae, cfg, directory)
    return sae


def _from_saelens(cfg: Mapping[str, Any], weights: dict[str, Tensor], directory: Path) -> SAE:
    """Read a directory that SAELens wrote."""
    name = cfg.get("architecture")
    if name is None:
        raise _no_architecture(directory)
    for key in ("normalize_activations", "reshape_activations"):
        if cfg.get(key, "none") != "none":
            raise ModelError(
                f"an SAE with {key} is not supported",
                where=directory / CONFIG_NAME,
                expected="none",
                got=cfg[key],
            )
    for ours in registry.names(ARCHITECTURES):
        rule = registry.load(ARCHITECTURES, ours)
        if rule.SAELENS == name:
            settings, weights = rule.from_saelens(cfg, weights)
            metadata = cfg.get("metadata", {})
            return SAE(ours, settings, weights, {"saelens": metadata})
    raise ModelError(
        "the SAE's architecture is not known",
        where=directory / CONFIG_NAME,
        expected=" | ".join(registry.names(ARCHITECTURES)),
        got=name,
    )


def _no_architecture(directory: Path) -> ModelError:
    # a guess would read a TopK as a ReLU without a word
    return ModelError(
        "the file does not say which architecture the SAE has",
        where=directory / CONFIG_NAME,
        expected="architecture",
        got="none",
        remedy="Add the key, if you know it; it is never assumed.",
    )


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise DamagedError("the weights are missing", where=path)
    try:
        # copies: memory of a mapped file is not aligned like memory of torch
        return {name: w.clone() for name, w in safetensors.torch.load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise DamagedError(
            "the weights are not readable",
            where=path,
            got=str(error),
            remedy="Delete the directory and run the workflow again.",
        ) from error


def _check_shapes(sae: SAE, cfg: Mapping[str, Any], directory: Path) -> None:
    d_in, d_sae = cfg["d_in"], cfg["d_sae"]
    shapes = {
        "W_enc": (d_in, d_sae), "b_enc": (d_sae,), "W_dec": (d_sae, d_in), "b_dec": (d_in,),
    }  # fmt: skip
    for name, shape in shapes.items():
        got = tuple(sae.weights[name].shape) if name in sae.weights else "no such tensor"
        if got != shape:
            raise DamagedError(
                f"the tensor {name} does not fit the header",
                where=directory / WEIGHTS_NAME,
                expected=shape,
                got=got,
            )
