"""The SAE universality post's pickled `AnthropicSAE`: ReLU latents of x - shift_bias.

f = ReLU((x - shift_bias) encoder + encoder_bias),  x_hat = f decoder + shift_bias
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from saeflow.errors import ModelError
from saeflow.sae.saved.foreign import Foreign, Place, sources
from saeflow.sae.saved.pickles import Holder
from saeflow.sae.saved.tensors import Tensors

TITLE = "universality's pickled SAE"
_KEYS = ("encoder", "decoder", "encoder_bias", "shift_bias")


def fits(place: Place) -> bool:
    """Whether the file holds such an object."""
    return isinstance(place.content, Holder) and place.content.attributes().keys() >= set(_KEYS)


def read(place: Place) -> Foreign:
    """Return the SAE."""
    found = Tensors(place.content.attributes(), place.path)
    own = {name: _tensor(found[name]) for name in _KEYS}
    d_sae, d_in = len(own["encoder_bias"]), len(own["shift_bias"])
    if d_sae == d_in:
        raise ModelError(
            "the orientation of square matrices cannot be told", where=place.path,
            expected="another number of latents than of inputs", got=d_in,
        )  # fmt: skip
    weights = {
        "W_enc": _oriented(own["encoder"], (d_in, d_sae)),
        "b_enc": own["encoder_bias"],
        "W_dec": _oriented(own["decoder"], (d_sae, d_in)),
        "b_dec": own["shift_bias"],
    }
    facts = {"center_input": False, "source": sources(place.path)}
    rule = {"architecture": "standard", "apply_b_dec_to_input": True}
    return Foreign(rule, weights, facts)


def _tensor(value: Any) -> Tensor:
    """Return a parameter, or the weight of a linear layer."""
    found = value.attributes()["weight"] if isinstance(value, Holder) else value
    return found.detach()


def _oriented(matrix: Tensor, shape: tuple[int, int]) -> Tensor:
    return (matrix if tuple(matrix.shape) == shape else matrix.T).contiguous()
