"""Gemma Scope 2's directory: config.json and params.safetensors, a JumpReLU SAE of Gemma 3.

As in Gemma Scope, nothing is taken off the input and thresholds are stored as they are.
Transcoders have the same files and tensors: config.json tells them apart, so it has to be there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from saeflow.errors import DamagedError, ModelError
from saeflow.files import read_json
from saeflow.hooks import Hook
from saeflow.sae.formats.gemma_scope import KEYS, ours
from saeflow.sae.saved.foreign import Foreign, Place, no_counterpart, require_plain, sources
from saeflow.sae.saved.tensors import Tensors

TITLE = "Gemma Scope 2's directory"
CFG, WEIGHTS = "config.json", "params.safetensors"
FILES = ("config.json", "params.safetensors")
_HOOK = re.compile(r"model\.layers\.(\d+)\.(.+)")
_SITES = {"output": "resid_post", "post_feedforward_layernorm.output": "mlp_out"}
"""Places in a block of Gemma 3, whose sublayers end in a norm; the input of o_proj is no hook."""


def fits(place: Place) -> bool:
    """Whether there are its weights."""
    return WEIGHTS in place.names


def read(place: Place) -> Foreign:
    """Return the SAE."""
    if CFG not in place.names:
        raise DamagedError(
            "the configuration is missing; it tells SAEs from transcoders and says the hook",
            where=place.path,
            expected=CFG,
            got=place.described,
            remedy="Copy it, too. Where the repository has none, write it: {\"architecture\":"
            " \"jump_relu\", \"hf_hook_point_in\": \"model.layers.<block>.output\"}.",
        )  # fmt: skip
    config = read_json(place.path / CFG)
    found = place.tensors(WEIGHTS)
    _refuse(config, found, place)
    named = Tensors({ours(name): w for name, w in found.items()}, found.where)
    facts = {
        "hook": _hook(config.get("hf_hook_point_in")),
        "model_name": config.get("model_name"),
        "center_input": False,  # Gemma's norms take no mean off
        "source": sources(place.path / CFG, place.path / WEIGHTS),
    }
    rule = {"architecture": "jumprelu", "apply_b_dec_to_input": False}
    return Foreign(rule, {name: named[name] for name in KEYS}, facts)


def _refuse(config: Mapping[str, Any], found: Mapping[str, Any], place: Place) -> None:
    where = place.path / CFG
    if config.get("architecture") != "jump_relu":
        raise ModelError(
            "the SAE's architecture is not known", where=where, expected="jump_relu",
            got=config.get("architecture"),
        )  # fmt: skip
    here = config.get("hf_hook_point_in")
    plain = {
        "type": ("sae", "another kind of dictionary"),
        "hf_hook_point_out": (here, "reconstructs another place than it reads"),
        "affine_connection": (False, "a linear path beside the latents"),
    }
    require_plain(config, plain, where)
    if "affine_skip_connection" in found:
        raise no_counterpart(
            "a linear path beside the latents", "tensors", ", ".join(KEYS),
            "affine_skip_connection", place.path / WEIGHTS,
        )  # fmt: skip


def _hook(place: str | None) -> str | None:
    match = _HOOK.fullmatch(place or "")
    site = _SITES.get(match[2]) if match else None
    return str(Hook(site, int(match[1]))) if site else place
