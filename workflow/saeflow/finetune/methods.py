"""The methods of the feature suppression post: what each moves.

"scale" is the factor per latent and comes first; then weights. A method is a constant with its
name in capitals, so that only what it tuned is as stale as it. Read `trainable`.
"""

from __future__ import annotations

from collections.abc import Sequence

from saeflow import registry

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
