"""Tables of crosscoders: norms of their decoders at each place, and what places share.

Read `norms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saeflow.studies.universality.crosscoders import ALONE, SHARED
from saeflow.studies.universality.reading import CODES, key_of
from saeflow.tables.builders import EXTENT, KEY, stack
from saeflow.tables.runs import SAE, Run

Place = tuple[str, str]

OTHER = ("other_model", "other_hook", "shuffled")
OF_LATENT = ("latent", "status", "active", "norm", "other_norm", "relative", "cosine")
OWN, BOTH, OTHERS, BETWEEN = _KINDS = ("own", "shared", "other", "between")
"""Kinds of latents: of the crosscoder's own place alone, of both, of the other alone, and none of
these."""


class Crosscoder(NamedTuple):
    """A crosscoder that was read.

    Attributes
    ----------
    run : Run
        Its records.
    places : list
        Models and hooks, its own first.
    decoder : list of ndarray (d_sae, d)
        Of each place, for activations of one mean size.
    """

    run: Run
    places: list[Place]
    decoder: list[np.ndarray]

    @property
    def latents(self) -> pd.DataFrame:
        """What is known of its latents on the tokens of ``codes``."""
        return self.run.records[CODES].table("latents.parquet")

    def columns(self, which: int, shuffled: Iterable[str]) -> dict[str, Any]:
        """Return what tables say of it and of one of the places that it joins."""
        model, hook = self.places[which]
        of = {one.partition("@")[0] for one in (self.places[0][0], model)}
        return {
            **self.run.key.columns(),
            **dict(zip(OTHER, (model, hook, bool(of & {*shuffled})), strict=True)),
        }


def crosscoders_of(
    runs: Sequence[Run], crosscoders: Iterable[Mapping[str, Any]]
) -> Iterator[Crosscoder]:
    """Yield the crosscoders that were trained and measured.

    Parameters
    ----------
    crosscoders
        What `saeflow.studies.universality.crosscoders.rows.given_crosscoders` gives.
    """
    known = {run.key.training: run for run in runs if {SAE, CODES} <= {*run.records}}
    for given in crosscoders:
        run = known.get(key_of(given))
        if run is not None:
            W_dec, hooks = run.decoder(), run.sae["joined"]
            parts = [W_dec[:, slice(*one["columns"])] * one["scale"] for one in hooks]
            yield Crosscoder(run, [tuple(place) for place in given["places"]], parts)


def norms(
    runs: Sequence[Run], *, crosscoders: Iterable[Mapping[str, Any]], shuffled: Iterable[str]
) -> pd.DataFrame:
    """Return one row per latent of each crosscoder and place that it joins.

    Parameters
    ----------
    shuffled
        Names of models whose weights mean nothing.

    Returns
    -------
    DataFrame
        The crosscoder, at its own place; the other place, and whether one of the two is of a
        shuffled model; ``latent`` with its ``status`` and the tokens on which it is ``active``;
        ``norm`` and ``other_norm`` of its decoder rows at the two, for activations of one mean
        size; ``relative``, the latter over their sum; ``cosine`` of the two rows, NaN where the
        places differ in width.
    """
    tables = [
        _latents(one, which).assign(**one.columns(which, shuffled))
        for one, which in _each(runs, crosscoders)
    ]
    return stack(tables, [*KEY, *OTHER, *OF_LATENT])


def _each(
    runs: Sequence[Run], crosscoders: Iterable[Mapping[str, Any]]
) -> Iterator[tuple[Crosscoder, int]]:
    """Yield each crosscoder with the number of each place that it joins."""
    for one in crosscoders_of(runs, crosscoders):
        for which in range(1, len(one.places)):
            yield one, which


def _latents(one: Crosscoder, which: int) -> pd.DataFrame:
    """Return `OF_LATENT` of all latents of a crosscoder."""
    rows = one.decoder[0], one.decoder[which]
    size = [np.linalg.norm(part, axis=1) for part in rows]
    known = one.latents[["latent", "status", "active"]]
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = size[1] / (size[0] + size[1])
        cosine = np.full(len(known), np.nan)
        if rows[0].shape == rows[1].shape:
            cosine = (rows[0] * rows[1]).sum(1) / (size[0] * size[1])
    return known.assign(norm=size[0], other_norm=size[1], relative=relative, cosine=cosine)


def kinds(relative: np.ndarray) -> np.ndarray:
    """Return of relative norms (n,) which latents are of one place or shared: (n,) of str."""
    shared = (relative >= SHARED) & (relative <= 1 - SHARED)
    return np.select([relative < ALONE, relative > 1 - ALONE, shared], [OWN, OTHERS, BOTH], BETWEEN)


def shares(
    runs: Sequence[Run], *, crosscoders: Iterable[Mapping[str, Any]], shuffled: Iterable[str]
) -> pd.DataFrame:
    """Return one row per crosscoder and place that it joins.

    Returns
    -------
    DataFrame
        The crosscoder and the places; ``width``, and ``live`` latents; of these the shares of
        ``own``, ``shared``, ``other`` and ``between`` (`kinds`); the mean ``cosine`` of shared
        ones' two rows, NaN where the places differ in width, and ``cosine_exchanged``, of their
        rows with those of other shared ones; tokens and documents.
    """
    rows = []
    for one, which in _each(runs, crosscoders):
        found = _latents(one, which)
        live = (found["status"] == "live").to_numpy()
        kind = kinds(found["relative"].to_numpy())
        n = max(1, int(live.sum()))
        both = np.flatnonzero(live & (kind == BOTH))
        rows.append(
            {
                **one.columns(which, shuffled),
                "width": len(found),
                "live": int(live.sum()),
                **{name: (live & (kind == name)).sum() / n for name in _KINDS},
                "cosine": found["cosine"].to_numpy()[both].mean() if len(both) else np.nan,
                "cosine_exchanged": _exchanged(one.decoder[0], one.decoder[which], both),
                **one.run.extent(),
            }
        )
    last = ["width", "live", *_KINDS, "cosine", "cosine_exchanged", *EXTENT]
    return pd.DataFrame(rows, columns=[*KEY, *OTHER, *last])


def _exchanged(first: np.ndarray, second: np.ndarray, latents: np.ndarray) -> float:
    """Return the mean cosine of the rows of some latents with those of all others of them."""
    n = len(latents)
    if n < 2 or first.shape != second.shape:
        return np.nan
    one, other = (directions(part[latents]) for part in (first, second))
    total = one.sum(0) @ other.sum(0) - (one * other).sum()
    return float(total / (n * (n - 1)))


def directions(rows: np.ndarray) -> np.ndarray:
    """Return rows (n, d) at norm 1; those of norm 0 stay."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norm > 0, norm, 1)
