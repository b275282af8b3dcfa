"""Crosscoders: what one dictionary of several places shares, beside SAEs of each of them."""
