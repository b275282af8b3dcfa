"""Sparse autoencoders of language models: stores, training, metrics and figures."""
