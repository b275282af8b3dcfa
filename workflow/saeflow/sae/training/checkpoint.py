"""Checkpoints of a training run: whole files, replaced at once, never parts of two steps.

The one before stays until the new one is whole, so that a damaged newest costs minutes and not
the training. A checkpoint holds a usable SAE besides what the training needs: `read_sae`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from torch import Tensor

from saeflow.errors import DamagedError
from saeflow.files import canonical_json, write_atomic

logger = logging.getLogger(__name__)

NAME = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"
_TRANSPOSED = "^T"
WEIGHTS, SAE = "weights/", "sae/"
"""Prefixes of the weights in training, and of those in which the usable SAE differs from them."""


def save(directory: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint of tensors and JSON values; the newest so far becomes the previous one.

    The transpose of a contiguous tensor comes back as one: how a product rounds depends on it.
    """
    contiguous = {}
    for name, tensor in tensors.items():
        if tensor.is_contiguous():
            contiguous[name] = tensor
        else:
            contiguous[name + _TRANSPOSED] = tensor.T
    metadata = {"state": canonical_json(dict(state)), "xxh3_128": _digest(contiguous)}
    content = safetensors.torch.save(contiguous, metadata=metadata)
    newest = Path(directory) / NAME
    fresh = newest.with_name(f"{NAME}.new")
    write_atomic(fresh, content)
    if newest.is_file():
        newest.replace(newest.with_name(PREVIOUS))
    # killed here, the previous one is what is left
    fresh.replace(newest)


def load(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the (tensors, state) of the newest usable checkpoint, None where there is none."""
    return next(usable(directory), None)


def usable(directory: Path) -> Iterator[tuple[dict[str, Tensor], dict[str, Any]]]:
    """Yield the (tensors, state) of each checkpoint that is whole, the newest first."""
    for name in (NAME, PREVIOUS):
        path = Path(directory) / name
        if not path.is_file():
            continue
        try:
            yield _read(path)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            logger.warning("%s is damaged (%s): an earlier state is used", path, error)


def exists(directory: Path) -> bool:
    """Return whether there is a checkpoint, whole or not."""
    return any((Path(directory) / name).is_file() for name in (NAME, PREVIOUS))


def read_sae(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the content of cfg.json and the weights of the SAE in the newest usable checkpoint.

    Raises
    ------
    DamagedError
        If there is none.
    """
    found = load(directory)
    if found is None:
        raise DamagedError(
            "no checkpoint here is whole",
            where=directory,
            remedy="Run the workflow again: it begins the training anew.",
        )
    tensors, state = found
    weights = {
        name.removeprefix(prefix): tensor
        for prefix in (WEIGHTS, SAE)  # the latter win
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    return state["cfg"], {name: weights[name] for name in state["sae_weights"]}


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    stored = {}
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        for name in file.keys():
            # a copy: memory of the file itself is not aligned like memory of torch
            stored[name] = file.get_tensor(name).clone()
    if _digest(stored) != metadata["xxh3_128"]:
        raise ValueError("its content is not what was written")
    tensors = {
        name.removesuffix(_TRANSPOSED): tensor.T if name.endswith(_TRANSPOSED) else tensor
        for name, tensor in stored.items()
    }
    return tensors, json.loads(metadata["state"])


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of names and contents of contiguous tensors on the CPU."""
    digest = xxhash.xxh3_128()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
