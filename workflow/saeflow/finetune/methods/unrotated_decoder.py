"""Unrotated decoder: a factor per latent and the decoder's bias; no direction turns."""

TRAINABLE = ("scale", "b_dec")
