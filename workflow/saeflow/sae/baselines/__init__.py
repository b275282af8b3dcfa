"""What an SAE is compared with, one per module, loaded by name.

A baseline is fitted to the training rows at once, without steps, and is an SAE like any other: of
an architecture, with weights, in the same files. A module has

    Settings                                its settings, a class of `saeflow.config.saes`
    ARCHITECTURE                            the architecture that it is an SAE of
    fit(settings, rows, generator)          -> (the architecture's settings, weights)
"""

BASELINES = {"identity": "relu", "mean": "relu", "pca": "relu", "random": "topk", "zero": "relu"}
"""Baselines, and the architecture that encodes each, as their modules say."""
