"""The methods by name, with the settings that they take of `saeflow.config.sections.Probing`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from saeflow.probing.draws import NORMAL, SHUFFLED
from saeflow.probing.fitted import Method
from saeflow.probing.latents import k_sparse
from saeflow.probing.logistic import logistic, pca
from saeflow.probing.others import boosting, knn, mlp, published
from saeflow.probing.projections import components

PUBLISHED, LOGISTIC, K_SPARSE, PCA_AT_K = "published", "logistic", "k_sparse", "pca_at_k"
_OTHERS = {"pca": pca, "knn": knn, "boosting": boosting, "mlp": mlp, PUBLISHED: published}


def methods_of(
    names: Iterable[str], settings: Mapping[str, Any], *, ks: Sequence[int] = ()
) -> dict[str, Method]:
    """Return methods that fit a training set, by name.

    Parameters
    ----------
    names
        Some of published, logistic, pca, pca_at_k, knn, boosting, mlp and k_sparse.
    settings
        ``penalties`` and ``standardise``; of k_sparse also ``codes`` with ``normalise``.
    ks
        Of k_sparse and pca_at_k.
    """
    of_penalty = {name: settings[name] for name in ("penalties", "standardise")}
    found: dict[str, Method] = {}
    for name in names:
        if name == LOGISTIC:
            found[name] = partial(logistic, **of_penalty)
        elif name == K_SPARSE:
            normalise = settings["codes"]["normalise"]
            found[name] = partial(k_sparse, ks=tuple(ks), normalise=normalise, **of_penalty)
        elif name == PCA_AT_K:
            found[name] = partial(components, ks=tuple(ks))
        else:
            found[name] = _OTHERS[name]
    return found


def at_pooling(
    methods: Mapping[str, Mapping[str, Method]], *, first: bool
) -> dict[str, Mapping[str, Method]]:
    """Return the methods by setting for one of the ways in which tokens are pooled.

    All for the first of them; for the others those with all training examples, and the control.
    """
    return {
        setting: own for setting, own in methods.items() if first or setting in (NORMAL, SHUFFLED)
    }
