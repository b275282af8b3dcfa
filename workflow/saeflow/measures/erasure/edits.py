"""What is done to activations to remove a concept from them, or to steer with it.

An edit is a function of an activation, and for features of its code; it is made of the examples of
one task at one hook (`plans_of`, `feature_plans_of`). Read `Edit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from saeflow.measures.ablations.ablating import reconstruction_without
from saeflow.measures.code_matrix import matrix
from saeflow.measures.encoders import Coder
from saeflow.measures.erasure.erasers import Eraser, leace, mean_difference, projection
from saeflow.metrics.erasure import (
    FEATURES,
    LEACE,
    MEAN_DIFFERENCE,
    NONE,
    RANDOM_DIRECTION,
    RANDOM_FEATURES,
    REMOVAL,
    STEERING,
)
from saeflow.probing.latents import ranking
from saeflow.sae.sparse.codes import Codes

_ALIKE = 10
"""Features of the nearest frequencies of which a random one is drawn."""


class Coded(NamedTuple):
    """What an SAE makes of n activations: codes, and the reconstruction x_hat (n, d)."""

    coder: Coder
    codes: Codes
    x_hat: torch.Tensor

    @classmethod
    def of(cls, coder: Coder, x: torch.Tensor) -> Coded:
        """Encode and decode x (n, d)."""
        codes = coder.encode_sparse(x)
        return cls(coder, codes, coder.decode(codes))


class Edit(NamedTuple):
    """A change of activations.

    Attributes
    ----------
    kind, way : str
        `REMOVAL` or `STEERING`, and by what; `NONE` for no change.
    n_features : int
        Features that it takes out, or along whose decoder rows it steers; 0 for dense edits.
    strength : float
        Of steering, in units of the distance between the means of the classes; 0 of removal.
    latents : tuple of int
        Those features.
    eraser : Eraser or None
        Takes out a direction.
    shift : ndarray (d,) or None
        Is added.
    """

    kind: str = NONE
    way: str = NONE
    n_features: int = 0
    strength: float = 0.0
    latents: tuple[int, ...] = ()
    eraser: Eraser | None = None
    shift: np.ndarray | None = None

    @property
    def of_sae(self) -> bool:
        """Whether it needs an SAE's codes of what it changes."""
        return self.kind == REMOVAL and self.n_features > 0

    def of(self, x: torch.Tensor, coded: Coded | None = None) -> torch.Tensor:
        """Return activations x (n, d) changed; what an SAE does not explain of them stays."""
        if self.of_sae:
            rest = reconstruction_without(coded.coder, coded.codes, coded.x_hat, self.latents)
            return x - (coded.x_hat - rest)
        if self.eraser is not None:
            centre, read, taken = (torch.from_numpy(part).to(x) for part in self.eraser)
            return x - ((x - centre) @ read.T) @ taken
        return x if self.shift is None else x + torch.from_numpy(self.shift).to(x)


def dense_edits(
    x: np.ndarray,
    labels: np.ndarray,
    tokens: np.ndarray,
    strengths: Sequence[float],
    seed: int,
) -> list[Edit]:
    """Return the edits of a task that need no SAE.

    Parameters
    ----------
    x, labels : (n, d) and (n,)
        Activations of examples, and 1 where the concept is there, else 0.
    tokens : (n_tokens, d)
        Activations of the tokens at which edits stand: what they change as little as they can, and
        whose mean is left as it is.
    strengths, seed
        Of steering, and of the random direction, which has the same norm in it.
    """
    centre, difference = tokens.mean(0, dtype=np.float64), mean_difference(x, labels)
    drawn = np.random.default_rng(seed).standard_normal(x.shape[1])
    drawn *= np.linalg.norm(difference) / np.linalg.norm(drawn)
    directions = {MEAN_DIFFERENCE: difference, RANDOM_DIRECTION: drawn}
    return [
        Edit(REMOVAL, LEACE, eraser=leace(x, labels, changed=tokens, shrunk=True)),
        *(
            Edit(REMOVAL, way, eraser=projection(centre, direction))
            for way, direction in directions.items()
        ),
        *(
            Edit(STEERING, way, strength=strength, shift=strength * direction)
            for way, direction in directions.items()
            for strength in strengths
        ),
    ]


def feature_edits(
    codes: Codes,
    labels: np.ndarray,
    decoder: torch.Tensor,
    distance: float,
    *,
    sizes: Sequence[int],
    strengths: Sequence[float],
    seed: int,
) -> list[Edit]:
    """Return the edits of a task by an SAE's features.

    Parameters
    ----------
    codes
        Of the examples.
    labels : (n,)
        As of `dense_edits`.
    decoder : Tensor (d_sae, d)
        The SAE's decoder rows.
    distance
        Between the means of the classes.
    sizes
        How many features are taken out, the first ones of the ranking of k-sparse probes
        (`saeflow.probing.latents.ranking`); sizes for which it has too few are left out.
    strengths
        Of steering along the decoder row of the first feature, towards the class in which it is
        larger.
    seed
        Of the random features, which are as often active on the examples as those that they stand
        beside.
    """
    latents, positive = matrix(codes), labels == 1
    sizes = sorted({min(size, codes.d_sae) for size in sizes})
    chosen = ranking(latents, positive, sizes[-1])
    drawn = _alike(codes, chosen, seed)
    edits = [
        Edit(REMOVAL, way, n, latents=tuple(own[:n].tolist()))
        for way, own in ((FEATURES, chosen), (RANDOM_FEATURES, drawn))
        for n in sizes
        if len(own) >= n
    ]
    if not len(chosen):
        return edits
    first = int(chosen[0])
    values = latents[:, first].toarray()[:, 0]
    towards = np.sign(values[positive].mean() - values[~positive].mean())
    row = towards * decoder[first].double().cpu().numpy()
    unit = row / max(float(np.linalg.norm(row)), np.finfo(float).tiny)
    return edits + [
        Edit(STEERING, FEATURES, 1, strength, (first,), shift=strength * distance * unit)
        for strength in strengths
    ]


def _alike(codes: Codes, chosen: np.ndarray, seed: int) -> np.ndarray:
    """Return for each of some latents another one, active on about as many rows, each once.

    Of those that are active on no row there are more where these run out.
    """
    fired = np.bincount(codes.index.cpu().numpy(), minlength=codes.d_sae)
    free = np.ones(codes.d_sae, dtype=bool)
    free[chosen] = False
    rng, found = np.random.default_rng(seed), []
    for latent in chosen:
        others = np.flatnonzero(free)
        if not len(others):
            break
        order = np.argsort(np.abs(fired[others] - fired[latent]), kind="stable")
        taken = int(rng.choice(others[order[:_ALIKE]]))
        free[taken] = False
        found.append(taken)
    return np.array(found, dtype=np.int64)
