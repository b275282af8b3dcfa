"""Checkpoints of a training run: one file, replaced at once, never parts of two steps."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from saeflow.files import canonical_json, write_atomic

logger = logging.getLogger(__name__)

NAME = "checkpoint.safetensors"
_TRANSPOSED = "^T"


def save(directory: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Replace the checkpoint in ``directory``.

    Parameters
    ----------
    tensors
        By name. The transpose of a contiguous tensor comes back as one: how a product rounds
        depends on the layout.
    state
        Everything else, as JSON values.
    """
    contiguous = {}
    for name, tensor in tensors.items():
        if tensor.is_contiguous():
            contiguous[name] = tensor
        else:
            contiguous[name + _TRANSPOSED] = tensor.T
    content = safetensors.torch.save(contiguous, metadata={"state": canonical_json(dict(state))})
    write_atomic(Path(directory) / NAME, content)


def load(directory: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Return the (tensors, state) of the checkpoint in ``directory``, None without a usable one."""
    path = Path(directory) / NAME
    if not path.is_file():
        return None
    try:
        tensors = {}
        with safe_open(path, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            for name in file.keys():
                # a copy: memory of the file itself is not aligned like memory of torch
                tensor = file.get_tensor(name).clone()
                if name.endswith(_TRANSPOSED):
                    name, tensor = name.removesuffix(_TRANSPOSED), tensor.T
                tensors[name] = tensor
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        logger.warning("%s is damaged (%s): this training starts anew", path, error)
        return None
    return tensors, state
