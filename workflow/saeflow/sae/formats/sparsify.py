"""sparsify's directory (EleutherAI): cfg.json and sae.safetensors, a top-k of ReLU latents."""

from __future__ import annotations

import re
from pathlib import Path

import safetensors.torch

from saeflow.files import AGAIN, read_json, write_atomic, write_json
from saeflow.sae.saved import fold
from saeflow.sae.saved.foreign import Foreign, Place, cannot, require_plain, sources

TITLE = "sparsify's directory"
CFG, WEIGHTS = "cfg.json", "sae.safetensors"
FILES = ("cfg.json", "sae.safetensors")
_BLOCK = re.compile(r"(?:.*[._])?(?:layers|h|blocks)[._](\d+)(?:[._](mlp|attn|self_attn))?")
_PLAIN = {
    "activation": ("topk", "another rule than top-k"),
    "skip_connection": (False, "a linear path beside the latents"),
    "transcode": (False, "reconstructs another place than it reads"),
    "signed": (False, "latents below zero"),
}
_SITES = {None: "resid_post", "mlp": "mlp_out"}


def fits(place: Place) -> bool:
    """Whether there are both files."""
    return {CFG, WEIGHTS} <= place.names


def read(place: Place) -> Foreign:
    """Return the SAE; its encoder takes b_dec off the input."""
    cfg = read_json(place.path / CFG, remedy=AGAIN)
    require_plain(cfg, _PLAIN, place.path / CFG)
    found = place.tensors(WEIGHTS)
    weights = {
        "W_enc": found["encoder.weight"].T.contiguous(),
        "b_enc": found["encoder.bias"],
        "W_dec": found["W_dec"] if "W_dec" in found else found["decoder.weight"].T.contiguous(),
        "b_dec": found["b_dec"] if "b_dec" in found else found["decoder.bias"],
    }
    # the run's config.json, with the model's name, lies one directory up and is not read: what an
    # SAE is follows from its own files
    facts = {
        "hook": _hook(place.path.name),
        "center_input": False,
        "source": sources(place.path / CFG, place.path / WEIGHTS),
    }
    rule = {"architecture": "topk", "k": int(cfg["k"]), "apply_b_dec_to_input": True}
    return Foreign(rule, weights, facts)


def _hook(name: str) -> str | None:
    match = _BLOCK.fullmatch(name)
    if match is None:
        return None
    site = _SITES.get(match[2], "attn_out")
    return f"{site}.{int(match[1])}"


def write(foreign: Foreign, directory: Path) -> None:
    """Write the directory of a TopK SAE."""
    cfg = foreign.cfg
    if cfg["architecture"] != "topk":
        raise cannot(
            TITLE, f"it has top-k rules alone, and this one is {cfg['architecture']}",
            "Export to saelens or dictionary_learning.",
        )  # fmt: skip
    if cfg["normalize_activations"] != "none" or foreign.facts.get("input_norm", "none") != "none":
        raise cannot(TITLE, "it prepares its inputs row by row, and sparsify does not")
    weights = fold.input_bias(foreign.weights, subtracted=cfg["apply_b_dec_to_input"], wanted=True)
    state = {
        "encoder.weight": weights["W_enc"].T.contiguous(),
        "encoder.bias": weights["b_enc"],
        "W_dec": weights["W_dec"],
        "b_dec": weights["b_dec"],
    }
    write_atomic(directory / WEIGHTS, safetensors.torch.save(state))
    norms = weights["W_dec"].norm(dim=1)
    config = {
        "activation": "topk",
        "expansion_factor": max(1, cfg["d_sae"] // cfg["d_in"]),
        "normalize_decoder": bool(((norms - 1).abs() < 1e-4).all()),
        "num_latents": cfg["d_sae"],
        "k": cfg["k"],
        "multi_topk": False,
        "skip_connection": False,
        "transcode": False,
        "d_in": cfg["d_in"],
    }
    write_json(directory / CFG, config)
