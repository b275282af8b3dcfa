"""Gemma Scope's params.npz: arrays of a JumpReLU SAE that takes nothing off its input."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch

from saeflow.errors import DamagedError
from saeflow.sae.saved.foreign import Foreign, Place, sources
from saeflow.sae.saved.tensors import Tensors

TITLE = "Gemma Scope's arrays"
WEIGHTS = "params.npz"
FILES = ("params.npz",)
KEYS = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")
"""Names of the arrays; some files have w_enc and w_dec."""


def fits(place: Place) -> bool:
    """Whether this is the file, or its directory."""
    return WEIGHTS in place.names or place.path.suffix == ".npz"


def read(place: Place) -> Foreign:
    """Return the SAE."""
    path = place.path / WEIGHTS if place.path.is_dir() else place.path
    arrays = _arrays(path)
    weights = {name: arrays[name].float() for name in KEYS}
    facts = {"center_input": False, "source": sources(path)}  # Gemma's norms take no mean off
    rule = {"architecture": "jumprelu", "apply_b_dec_to_input": False}
    return Foreign(rule, weights, facts)


def _arrays(path: Path) -> Tensors:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {ours(name): torch.from_numpy(np.asarray(file[name])) for name in file}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DamagedError(
            "the arrays are not readable",
            where=path,
            got=str(error),
            remedy="Copy or fetch the file again.",
        ) from error
    return Tensors(found, path)


def ours(name: str) -> str:
    """Return our name of one of DeepMind's arrays, which differ in case."""
    return "W_" + name[2:] if name.startswith("w_") else name
