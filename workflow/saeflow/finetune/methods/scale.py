"""Scale: one factor per latent, all else frozen."""

TRAINABLE = ("scale",)
