"""Decoder: a factor per latent, the decoder's directions and its bias.

Latents that are never active stay as they were.
"""

TRAINABLE = ("scale", "W_dec", "b_dec")
