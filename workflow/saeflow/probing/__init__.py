"""Probes: what can be told of a text from a model's states or from an SAE's codes.

Pure functions on arrays and sparse matrices, float64. `saeflow.probing.draws` draws the training
sets, `saeflow.probing.methods` has the methods, `saeflow.probing.probe` runs them and writes what
comes out. Whatever is chosen is chosen inside the training set.
"""
