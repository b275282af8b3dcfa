"""Training sets of probes that a test makes."""

import numpy as np
from sklearn.metrics import roc_auc_score

from saeflow.probing.fitted import Training
from saeflow.probing.folds import folds_of


def training(x, positive, seed=0):
    """Return inputs (n, d) and labels (n,) as a training set with its folds."""
    return Training(x, positive, folds_of(positive, seed=seed), {})


def mean_auc(fit, x, positive):
    """Return the mean AUC on the folds of what ``fit`` makes of rows: a function of inputs."""
    parts = folds_of(positive)
    return np.mean([roc_auc_score(positive[f.look], fit(f.fit)(x[f.look])) for f in parts])
