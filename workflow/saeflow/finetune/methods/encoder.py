"""Encoder: a factor per latent, the encoder's directions and its bias.

Unlike with a frozen encoder other latents become active: in the post l0 rises strongly.
"""

TRAINABLE = ("scale", "W_enc", "b_enc")
