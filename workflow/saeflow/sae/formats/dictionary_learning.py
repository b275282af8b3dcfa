"""dictionary_learning's directory: ae.pt (a state dict) and config.json.

``trainer.dict_class`` says which of its classes wrote the tensors. Of those, `AutoEncoder` brings
decoder rows to norm 1 when it loads, which multiplies the latents; so do we. A batch top-k file
is read, as by its own class, with the threshold that its training kept.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saeflow.errors import DamagedError, ModelError
from saeflow.files import AGAIN, read_json, write_atomic, write_json
from saeflow.hooks import SITES, Hook
from saeflow.sae.saved import fold
from saeflow.sae.saved.foreign import (
    Foreign,
    Place,
    cannot,
    number,
    require_shapes,
    sources,
)

TITLE = "dictionary_learning's directory"
WEIGHTS, CFG = "ae.pt", "config.json"
FILES = ("ae.pt", "config.json")
_SUBTRACTED = {
    "AutoEncoder": ("standard", True),
    "AutoEncoderNew": ("standard", False),
    "AutoEncoderTopK": ("topk", True),
    "BatchTopKSAE": ("jumprelu", True),
    "MatryoshkaBatchTopKSAE": ("jumprelu", True),
    "GatedAutoEncoder": ("gated", True),
    "JumpReluAutoEncoder": ("jumprelu", False),
}
"""The architecture of a class, and whether it takes b_dec off its input."""
_NAMES = {
    "bias": "b_dec", "decoder_bias": "b_dec", "decoder.bias": "b_dec", "encoder.bias": "b_enc",
    "gate_bias": "b_gate", "mag_bias": "b_mag",
}  # fmt: skip
_LINEAR = {"encoder.weight": "W_enc", "decoder.weight": "W_dec"}  # stored transposed
_SUBMODULE = re.compile(rf"({'|'.join(SITES)})_layer_(\d+)")


def fits(place: Place) -> bool:
    """Whether there are both files."""
    return {WEIGHTS, CFG} <= place.names


def read(place: Place) -> Foreign:
    """Return the SAE as its own class computes it."""
    config = read_json(place.path / CFG, remedy=AGAIN)
    trainer = config.get("trainer") or {}
    kind = trainer.get("dict_class")
    if kind not in _SUBTRACTED:
        raise ModelError(
            "the class of this dictionary is not known", where=place.path / CFG,
            expected=" | ".join(_SUBTRACTED), got=kind,
        )  # fmt: skip
    architecture, subtracted = _SUBTRACTED[kind]
    found = place.tensors(WEIGHTS)
    weights = {_NAMES.get(name, name): w for name, w in found.items() if name not in _LINEAR}
    weights |= {o: found[name].T.contiguous() for name, o in _LINEAR.items() if o not in found}
    cfg: dict[str, Any] = {"architecture": architecture, "apply_b_dec_to_input": subtracted}
    _rule(cfg, weights, trainer, place.path)
    require_shapes(cfg, weights, place.path / WEIGHTS)
    if kind == "AutoEncoder" and not _unit_rows(weights["W_dec"]):
        weights = fold.decoder_norms(weights)
    facts = {
        "hook": _hook(trainer),
        "model_name": trainer.get("lm_name"),
        "context_length": (config.get("buffer") or {}).get("ctx_len"),
        "center_input": False,  # it reads the model through nnsight, whose weights are as they are
        "source": {"dict_class": kind, **sources(place.path / WEIGHTS, place.path / CFG)},
    }
    return Foreign(cfg, weights, facts)


def _rule(
    cfg: dict[str, Any], weights: dict[str, Tensor], trainer: Mapping[str, Any], where: Path
) -> None:
    """Move what is no weight of SAELens out of ``weights``."""
    k, threshold = weights.pop("k", None), weights.pop("threshold", None)
    weights.pop("group_sizes", None)
    if cfg["architecture"] == "topk":  # its threshold serves another function of the class
        cfg["k"] = int(number(k if k is not None else trainer["k"]))
    elif cfg["architecture"] == "jumprelu":
        if threshold is None:
            raise DamagedError(
                "the threshold is missing", where=where / WEIGHTS, expected="a tensor of that name"
            )
        d_sae = len(weights["W_dec"])
        weights["threshold"] = threshold.expand(d_sae).clone() if threshold.ndim == 0 else threshold


def _unit_rows(W_dec: Tensor) -> bool:
    norms = W_dec.norm(dim=1)
    return torch.allclose(norms, torch.ones_like(norms))  # the class' own test


def _hook(trainer: Mapping[str, Any]) -> str | None:
    match = _SUBMODULE.fullmatch(str(trainer.get("submodule_name")))
    return str(Hook(match[1], int(match[2]))) if match else None


def write(foreign: Foreign, directory: Path) -> None:
    """Write ae.pt and config.json for the class that computes the same."""
    cfg = foreign.cfg
    if cfg["normalize_activations"] != "none" or foreign.facts.get("input_norm", "none") != "none":
        raise cannot(TITLE, "it prepares its inputs row by row, and no class there does")
    architecture = cfg["architecture"]
    kind = _class_of(architecture, cfg, foreign.weights)
    weights = fold.input_bias(
        foreign.weights, subtracted=cfg["apply_b_dec_to_input"], wanted=_SUBTRACTED[kind][1]
    )
    state = _state(kind, weights, cfg)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(directory / WEIGHTS, buffer.getvalue())
    write_json(directory / CFG, _config(kind, foreign))


def _class_of(architecture: str, cfg: Mapping[str, Any], weights: Mapping[str, Tensor]) -> str:
    if architecture == "standard":
        plain = cfg["apply_b_dec_to_input"] and _unit_rows(weights["W_dec"])
        return "AutoEncoder" if plain else "AutoEncoderNew"  # the second leaves norms alone
    kinds = {"topk": "AutoEncoderTopK", "jumprelu": "JumpReluAutoEncoder",
             "gated": "GatedAutoEncoder"}  # fmt: skip
    if architecture not in kinds:
        raise cannot(TITLE, f"it has no class for the architecture {architecture}")
    return kinds[architecture]


def _state(kind: str, weights: dict[str, Tensor], cfg: Mapping[str, Any]) -> dict[str, Tensor]:
    if kind == "JumpReluAutoEncoder":
        return {n: weights[n] for n in ("W_enc", "b_enc", "W_dec", "b_dec", "threshold")}
    b_dec = {"AutoEncoder": "bias", "AutoEncoderNew": "decoder.bias",
             "GatedAutoEncoder": "decoder_bias"}.get(kind, "b_dec")  # fmt: skip
    state = {
        b_dec: weights["b_dec"],
        "encoder.weight": weights["W_enc"].T.contiguous(),
        "decoder.weight": weights["W_dec"].T.contiguous(),
    }
    if kind == "GatedAutoEncoder":
        gates = {"gate_bias": "b_gate", "mag_bias": "b_mag", "r_mag": "r_mag"}
        return state | {theirs: weights[ours] for theirs, ours in gates.items()}
    state["encoder.bias"] = weights["b_enc"]
    if kind == "AutoEncoderTopK":
        state |= {
            "k": torch.tensor(cfg["k"], dtype=torch.int),
            "threshold": torch.tensor(-1.0),  # not measured
        }
    return state


def _config(kind: str, foreign: Foreign) -> dict[str, Any]:
    facts, hook = foreign.facts, foreign.facts.get("hook")
    site, _, block = (hook or "").partition(".")
    trainer = {
        "dict_class": kind,
        "trainer_class": None,
        "activation_dim": foreign.cfg["d_in"],
        "dict_size": foreign.cfg["d_sae"],
        "layer": int(block) if block else None,
        "lm_name": facts.get("model", {}).get("name"),
        "submodule_name": f"{site}_layer_{block}" if block else None,
    }
    if "k" in foreign.cfg:
        trainer["k"] = foreign.cfg["k"]
    return {"trainer": trainer, "buffer": {"ctx_len": facts.get("context_length")}}
