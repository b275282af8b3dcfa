"""Training sets of probes that a test makes."""

from saeflow.probing.fitted import Training
from saeflow.probing.folds import folds_of


def training(x, positive, seed=0):
    """Return inputs (n, d) and labels (n,) as a training set with its folds."""
    return Training(x, positive, folds_of(positive, seed=seed), {})
