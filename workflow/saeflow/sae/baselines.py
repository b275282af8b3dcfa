"""What an SAE is compared with: fitted at once, without steps (`saeflow.sae.training.baseline`)."""

BASELINES = {"identity": "relu", "mean": "relu", "pca": "relu", "random": "topk", "zero": "relu"}
"""Baselines, and the architecture that encodes each: else they are SAEs like any other."""
