"""Unrotated all: a factor per latent and both biases; no direction turns."""

TRAINABLE = ("scale", "b_enc", "b_dec")
