"""Sparse latent codes, and the arithmetic that touches active latents only."""
