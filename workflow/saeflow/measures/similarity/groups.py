"""What the correlations of matched latents are made of, by group of documents.

From these sums intervals over documents are formed, with the matches held. Read `by_group`.
"""

from __future__ import annotations

import numpy as np

from saeflow.measures.similarity.cooccurrence import Correlations
from saeflow.measures.similarity.matching import Both

SIDES = ("first", "second")

_TURNED = {"sum": "match_sum", "square": "match_square", "both": "both"}


def by_group(
    correlations: Correlations,
    best: Both,
    latents: tuple[np.ndarray, np.ndarray],
    borders: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return columns with a row for each live latent of both SAEs and each group.

    Parameters
    ----------
    correlations
        Of the SAEs.
    best
        The best matches of each.
    latents : tuple of ndarray (n,) and (m,)
        The numbers of their live latents.
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
    for side, own in enumerate(latents):
        places = np.arange(len(own)), best[side].match
        sums = correlations.by_group(*(places if side == 0 else places[::-1]), borders)
        if side == 1:
            turned = _TURNED | {match: name for name, match in _TURNED.items()}
            sums = {name: sums[turned[name]] for name in sums}
        columns = {
            "side": np.full(n_groups * len(own), SIDES[side]),
            "group": np.repeat(np.arange(n_groups), len(own)),
            "latent": np.tile(own, n_groups),
            "n": np.repeat(np.diff(borders), len(own)),
        }
        parts.append(columns | {name: values.ravel() for name, values in sums.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
