"""OpenAI's sparse autoencoders of GPT-2: one file, a state dict with the activation's name.

Those with a TopK activation normalise each input (mean and standard deviation) and undo it after
decoding. They read a residual stream with its mean, as the model makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saeflow.errors import ModelError
from saeflow.sae.saved.foreign import Foreign, Place, sources

TITLE = "OpenAI's state dict"
_KEYS = {"pre_bias", "encoder.weight", "latent_bias"}


def fits(place: Place) -> bool:
    """Whether the file holds its tensors."""
    return isinstance(place.content, Mapping) and place.content.keys() >= _KEYS


def read(place: Place) -> Foreign:
    """Return the SAE; without a decoder its weights are tied."""
    found = place.content
    encoder = found["encoder.weight"]
    decoder = found["decoder.weight"] if "decoder.weight" in found else encoder.T
    weights = {
        "W_enc": encoder.T.contiguous(),
        "b_enc": found["latent_bias"],
        "W_dec": decoder.T.contiguous(),
        "b_dec": found["pre_bias"],
    }
    facts = {"center_input": False, "source": sources(place.path)}
    return Foreign({**_rule(found, place), "apply_b_dec_to_input": True}, weights, facts)


def _rule(found: Mapping[str, Any], place: Place) -> dict[str, Any]:
    name, options = found.get("activation", "ReLU"), found.get("activation_state_dict") or {}
    if name == "ReLU":
        return {"architecture": "standard"}
    if name == "TopK" and options.get("postact_fn", "ReLU") == "ReLU" and "k" in options:
        return {
            "architecture": "topk",
            "k": int(options["k"]),
            "normalize_activations": "layer_norm",
        }
    raise ModelError(
        "this activation is not known here",
        where=place.path,
        expected="ReLU, or TopK with k and followed by ReLU",
        got=f"{name} {dict(options)}" if options else name,
    )
