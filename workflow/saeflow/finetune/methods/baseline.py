"""Baseline: all weights, trained on with the original loss and its sparsity term.

It shows what the further tokens alone give.
"""

TRAINABLE = None
