"""All: a factor per latent, encoder, decoder and both biases."""

TRAINABLE = ("scale", "W_enc", "b_enc", "W_dec", "b_dec")
