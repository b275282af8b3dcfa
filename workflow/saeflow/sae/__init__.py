"""Sparse autoencoders: the model, its architectures, training and files."""
