"""What the correlations of matched latents are made of, by group of documents.

From these sums intervals over documents are formed, with the matches held. Read `by_group`.
"""

from __future__ import annotations

import numpy as np

from saeflow.measures.codes import StoredCodes
from saeflow.measures.similarity.cooccurrence import Correlations
from saeflow.measures.similarity.matching import Both
from saeflow.measures.similarity.sides import Side

SIDES = ("first", "second")


def by_group(
    sides: tuple[Side, Side], correlations: Correlations, best: Both, borders: np.ndarray
) -> dict[str, np.ndarray]:
    """Return columns with a row for each live latent of both SAEs and each group.

    Parameters
    ----------
    sides
        The SAEs.
    correlations
        Of these.
    best
        The best matches of each.
    borders : ndarray (n_groups + 1,)
        The first token of each group, and the end.

    Returns
    -------
    dict
        side, group, latent; n, its tokens; over these the sums of the latent and of its square
        (sum, square), those of its match (match_sum, match_square), and that of their products
        (both).
    """
    n_groups, parts = len(borders) - 1, []
    sums = [_of_latents(side.codes, side.latents, borders) for side in sides]
    n, m = (len(side.latents) for side in sides)
    pairs = np.concatenate([np.arange(n) * m + best[0].match, best[1].match * m + np.arange(m)])
    each, places = np.unique(pairs, return_inverse=True)  # many are each other's best
    both = correlations.by_group(*np.divmod(each, m), borders)[:, places]
    boths = both[:, :n], both[:, n:]
    for name, own, other, side, found, both in zip(
        SIDES, sums, sums[::-1], sides, best, boths, strict=True
    ):
        n = len(side.latents)
        matched = {f"match_{key}": values[:, found.match] for key, values in other.items()}
        columns = {
            "side": np.full(n_groups * n, name),
            "group": np.repeat(np.arange(n_groups), n),
            "latent": np.tile(side.latents, n_groups),
            "n": np.repeat(np.diff(borders), n),
        }
        rows = {**own, **matched, "both": both}
        parts.append(columns | {key: values.ravel() for key, values in rows.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_latents(
    codes: StoredCodes, latents: np.ndarray, borders: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the sums of latents and of their squares, (n_groups, n) float64."""
    found = {name: np.empty((len(borders) - 1, len(latents))) for name in ("sum", "square")}
    for group in range(len(borders) - 1):
        entries = slice(*codes.offsets[borders[group : group + 2]])
        index, values = codes.index[entries], codes.values[entries].astype(np.float64)
        for name, weights in (("sum", values), ("square", values**2)):
            found[name][group] = np.bincount(index, weights, codes.d_sae)[latents]
    return found
