"""What it takes to fit the probes of a task: how many of them, in which settings, on how many rows.

Read `fits_of_states` and `fits_of_codes`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from saeflow.cost.shapes import OPERATIONS_PER_S
from saeflow.probing.draws import IMBALANCE, NOISE, NORMAL, SCARCITY, SHUFFLED

_FITTED_TO_STATES = {
    **{"published": (0.07, 0), "logistic": (0.03, 23), "pca": (0.012, 2), "pca_at_k": (0.01, 1)},
    **{"knn": (0.025, 1), "boosting": (0.45, 20), "mlp": (0.35, 5)},
}
"""Seconds of the assumed core for a training set, or a k, and n x d x min(n, d) products beside."""
_FITTED_TO_CODES = {"published": (0.01, 2e-6), "logistic": (0.05, 3e-5), "k_sparse": (0.01, 1.4e-5)}
"""Seconds for a training set, or a k, and for each latent beside: codes are sparse."""
_BY_K = ("pca_at_k", "k_sparse")
_CONTROL, _READER = "published", "pca"  # which turns its rows once, and has no grid of penalties


class Fits(NamedTuple):
    """The fits of one task.

    Attributes
    ----------
    n : int
        How many.
    seconds : float
        Of the assumed core.
    """

    n: int
    seconds: float


def fits_of_states(
    settings: Mapping[str, Any], n_train: float, d: int, *, poolings: int = 1
) -> Fits:
    """Return the fits to the states of a hook.

    Parameters
    ----------
    settings
        Of `saeflow.config.probing.Probing`.
    n_train
        Training texts of the task.
    d
        Width of the states.
    poolings
        Ways in which tokens are pooled.
    """
    of, sets = settings["states"], _training_sets(settings, n_train, poolings)
    asked = [(name, n) for setting in sets for name in of[setting] for n in sets[setting]]
    asked += [(name, n) for name in of["centred"] for n in sets[NORMAL]]
    ks = len(of["ks"])
    return _together(settings, (_to_states(name, n, d, ks) for name, n in asked))


def fits_of_codes(
    settings: Mapping[str, Any], n_train: float, d: int, d_sae: int, *, poolings: int = 1
) -> Fits:
    """Return the fits to an SAE's codes, and to what they are held against; as `fits_of_states`."""
    of, sets = settings["codes"], _training_sets(settings, n_train, poolings)
    found = [_to_states(_CONTROL, sets[NORMAL][0], d, 1) for _ in of["controls"]]
    for setting, sizes in sets.items():
        ks = len(of["ks" if setting == NORMAL else "few_ks"])
        found += [_to_codes(name, d_sae, ks) for name in of[setting] for _ in sizes]
    return _together(settings, found)


def _training_sets(
    settings: Mapping[str, Any], n_train: float, poolings: int
) -> dict[str, list[float]]:
    """Return the sizes of the training sets by setting; in that of shift fits are as in normal."""
    n = min(settings["train"], n_train)
    return {
        NORMAL: [n] * poolings,
        SCARCITY: [size for size in settings["sizes"] if size <= n],
        IMBALANCE: [n / 2 for _ in settings["shares"]],  # nearly all of one class are half of all
        NOISE: [n for _ in settings["flips"]],
        SHUFFLED: [n] * poolings * settings["permutations"],
    }


def _to_states(method: str, n: float, d: int, ks: int) -> Fits:
    seconds, products = _FITTED_TO_STATES[method]
    fits = ks if method in _BY_K else 1
    return Fits(fits, fits * (seconds + products * 2 * n * d * min(n, d) / OPERATIONS_PER_S))


def _to_codes(method: str, d_sae: int, ks: int) -> Fits:
    seconds, for_latent = _FITTED_TO_CODES[method]
    fits = ks if method in _BY_K else 1
    return Fits(fits, fits * seconds + for_latent * d_sae)


def _together(settings: Mapping[str, Any], parts: Iterable[Fits]) -> Fits:
    """Return the sum over all seeds of draws."""
    n, seconds = map(sum, zip(Fits(0, 0.0), *parts, strict=True))
    n_seeds = len(settings["seeds"])
    return Fits(n_seeds * n, n_seeds * seconds)


def seconds_of_reader(n: float, d: int) -> float:
    """Return the seconds of the assumed core of a logistic regression whose penalty is given."""
    return _to_states(_READER, n, d, 1).seconds
