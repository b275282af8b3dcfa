"""How alike the latents of two SAEs are, with what chance alone would give."""
