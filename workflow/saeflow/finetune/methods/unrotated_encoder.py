"""Unrotated encoder: a factor per latent and the encoder's bias; no direction turns."""

TRAINABLE = ("scale", "b_enc")
