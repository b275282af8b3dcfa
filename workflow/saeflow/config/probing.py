"""Keys under ``measures > probing``: which probes are fitted to labelled texts, and to how many."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from saeflow.config.base import Count, Items, MaybeItems, Positive, Section, Whole

StateProbe = Literal["published", "logistic", "pca", "pca_at_k", "knn", "boosting", "mlp"]
CodeProbe = Literal["published", "logistic", "k_sparse"]
"""Methods of `saeflow.probing.methods`."""
Control = Literal["decoded", "residual", "pca_active", "random_active", "pca_on"]
"""Of `saeflow.measures.sparse_probes`."""

_Shares = MaybeItems[Annotated[float, Field(gt=0, lt=1)]]


class ProbesOfStates(Section):
    """Which probes read states, by the setting in which they are fitted.

    Of `measures > states > pooling` the first is probed in all settings, others in normal and
    shuffled.
    """

    normal: MaybeItems[StateProbe] = [
        "published",
        "logistic",
        "pca",
        "pca_at_k",
        "knn",
        "boosting",
        "mlp",
    ]
    """All training examples; pca_at_k, the post's classifier of k principal components, with
    `ks`."""
    scarcity: MaybeItems[StateProbe] = ["logistic", "pca", "knn"]
    """Few of them, `sizes`."""
    imbalance: MaybeItems[StateProbe] = ["logistic", "pca", "knn"]
    """Classes in unequal shares, `shares`."""
    noise: MaybeItems[StateProbe] = ["logistic", "pca", "knn"]
    """Turned labels, `flips`."""
    shift: MaybeItems[StateProbe] = ["logistic", "pca", "knn"]
    """Fitted as normal, tested on examples of another source, where a task has some."""
    shuffled: MaybeItems[StateProbe] = ["published", "logistic", "pca", "knn"]
    """Permuted labels, of which nothing can be told."""
    centred: MaybeItems[StateProbe] = ["published", "logistic"]
    """Those that are also fitted, to all training examples, to states less their mean over the
    width, as TransformerLens has them."""
    ks: Items[Count] = [1, 2, 4, 8, 16, 32, 64, 128]
    """How many principal components pca_at_k reads, beside probes of as many latents."""


class ProbesOfCodes(Section):
    """Which probes read an SAE's codes, by the setting in which they are fitted."""

    normal: MaybeItems[CodeProbe] = ["published", "k_sparse"]
    """All training examples; k_sparse with `ks`."""
    scarcity: MaybeItems[CodeProbe] = ["k_sparse"]
    """Few of them, `sizes`; here and below k_sparse with `few_ks`."""
    imbalance: MaybeItems[CodeProbe] = ["k_sparse"]
    """Classes in unequal shares, `shares`."""
    noise: MaybeItems[CodeProbe] = ["k_sparse"]
    """Turned labels, `flips`."""
    shift: MaybeItems[CodeProbe] = ["k_sparse"]
    """Fitted as normal, tested on examples of another source, where a task has some."""
    shuffled: MaybeItems[CodeProbe] = ["published", "k_sparse"]
    """Permuted labels, of which nothing can be told."""
    ks: Items[Count] = [1, 2, 4, 8, 16, 32, 64, 128]
    """How many latents a k-sparse probe reads: those whose means differ most between the classes of
    the training set."""
    few_ks: Items[Count] = [16, 128]
    """The same in all settings but the normal one."""
    controls: MaybeItems[Control] = [
        "decoded",
        "residual",
        "pca_active",
        "random_active",
        "pca_on",
    ]
    """What the codes are held against, by the post's classifier: decoded, the reconstructions;
    residual, what these leave out; pca_active and random_active, as many principal components and
    random directions of the states as features are active on a text, on average; pca_on, as many
    components as features are on for any training text, up to the width."""
    normalise: bool = True
    """Rank latents by means in units of their own mean where they are active; false: by the means
    themselves."""


class Probing(Section):
    """How probes are fitted to labelled texts, in which settings, and with which training sets."""

    train: Annotated[int, Field(ge=4)] = 1024
    """Training examples of a task, at most."""
    sizes: MaybeItems[Annotated[int, Field(ge=2)]] = [4, 8, 16, 32, 64, 128, 256, 512]
    """Numbers of training examples in the setting scarcity, half of them positive; those that a
    task does not have are left out."""
    shares: _Shares = [0.05, 0.2, 0.5, 0.8, 0.95]
    """Shares of positive training examples in the setting imbalance; all training sets have the one
    size at which a task has enough of both classes."""
    flips: MaybeItems[Annotated[float, Field(gt=0, le=0.5)]] = [0.1, 0.2, 0.3, 0.4]
    """Shares of the training labels that are turned in the setting noise."""
    seeds: Items[Whole] = [0]
    """Each draws training sets of its own."""
    permutations: Count = 3
    """How often the labels are permuted for the control."""
    penalties: Items[Positive] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0]
    """Inverse strengths C of the penalty of logistic regressions: the one with the best AUC on
    folds of the training set is taken, of equals the first."""
    standardise: bool = True
    """Give the inputs of logistic regressions mean 0 and variance 1 in the training set; false: as
    they are, as sae-probes does. Other methods standardise theirs always."""
    states: ProbesOfStates = ProbesOfStates()
    """Which probes read states."""
    codes: ProbesOfCodes = ProbesOfCodes()
    """Which probes read codes."""
