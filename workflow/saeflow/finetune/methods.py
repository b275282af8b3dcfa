"""The methods of the feature suppression post: what each moves.

"scale" is the factor per latent and comes first; then weights. A method is a constant with its
name in capitals, so that only what it tuned is as stale as it. Read `trainable`.
"""

from __future__ import annotations

from collections.abc import Sequence

from saeflow import registry
from saeflow.errors import ConfigError

SCALE = ("scale",)
UNROTATED_DECODER = ("scale", "b_dec")
DECODER = ("scale", "W_dec", "b_dec")
# Other latents than the parent's become active: in the post l0 rises strongly.
ENCODER = ("scale", "W_enc", "b_enc")
UNROTATED_ENCODER = ("scale", "b_enc")
UNROTATED_ALL = ("scale", "b_enc", "b_dec")
ALL = ("scale", "W_enc", "b_enc", "W_dec", "b_dec")
# All weights under the SAE's own loss, penalty included: what the further tokens alone give.
BASELINE = None


def trainable(method: str) -> tuple[str, ...] | None:
    """Return what a method moves; None stands for all weights under the SAE's own loss."""
    return registry.function(definition(method))


def definition(method: str) -> str:
    """Return where a method is written down, "module:constant"."""
    return f"{__name__}:{method.upper()}"


def leaves_encoder(moved: Sequence[str] | None) -> bool:
    """Return whether codes stay as they were where this is moved."""
    return moved is not None and not {"W_enc", "b_enc"} & set(moved)


def moves_encoder(method: str) -> bool:
    """Return whether a method changes which latents are active, under the squared error."""
    moved = trainable(method)
    return moved is not None and not leaves_encoder(moved)


def refused(architecture: str, where: object = None) -> ConfigError:
    """Return the error of a method that moves the encoder of an SAE that does not allow it."""
    return ConfigError(
        "a method that moves the encoder cannot fine-tune this architecture",
        where=where,
        expected="one whose active latents are their pre-activations",
        got=architecture,
        remedy="Use scale, decoder, unrotated_decoder or baseline there, or leave the SAE out of"
        " the study's `tune`.",
    )
