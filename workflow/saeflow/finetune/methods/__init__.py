"""The methods of the feature suppression post, one per module, loaded by name.

A method's TRAINABLE names what it moves: "scale", the factor per latent, first, then weights.
None stands for all weights under the SAE's own loss.
"""

from __future__ import annotations

from collections.abc import Sequence


def leaves_encoder(trainable: Sequence[str] | None) -> bool:
    """Return whether a method's TRAINABLE leaves the codes as they were."""
    return trainable is not None and not {"W_enc", "b_enc"} & set(trainable)
