"""The loss with SAEs beside that with other errors, by layer, and which SAEs that is about."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from saeflow.figures.drawing import Drawing, seeds_note
from saeflow.figures.lines import Level, lines_by_layer, of_level
from saeflow.figures.places import learned
from saeflow.figures.style import MUTED, SERIES, Look

_PCA = "pca"
_ALIKE = 2.0  # times the size, or a half: so far a PCA is one of the same size


_KINDS = {
    "sae": ("controls_delta_ce", Look(SERIES[0], "o", "SAE")),
    "norm": ("delta_ce_random_norm", Look(SERIES[1], "^", "random error, equal norm")),
    "cosine": (
        "delta_ce_random_cosine",
        Look(SERIES[4], "v", "random error, equal norm and cosine"),
    ),
    _PCA: ("controls_delta_ce", Look(SERIES[2], "D", "PCA of about that size")),
    "mean": ("delta_ce_mean", Look(MUTED, "s", "mean")),
    "zero": ("delta_ce_zero", Look("#b8b8b8", "X", "zero")),
}
"""Kinds of errors: the column with the loss that each adds, and how it is drawn."""


def beside_real(table: pd.DataFrame) -> pd.DataFrame:
    """Select all rows, those of a shuffled model under the name of the real one."""
    return table.assign(model=table["of_model"])


def controls_by_layer(table: pd.DataFrame) -> Drawing:
    """Draw a panel per model and recipe (and site): added loss by layer, a line per kind of error.

    Parameters
    ----------
    table
        Columns model, hook, site, block, sae, seed, method, baseline, l0, and those of `_KINDS`
        with their intervals.
    """
    long, sizes = _long(table)
    looks = {kind: look for kind, (_, look) in _KINDS.items()}
    levels = {"added": Level("Added loss (nats/token)", log=True)}
    drawing = lines_by_layer(long, looks, levels, height=2.1)
    counts = learned(table).groupby(["model", "hook", "sae"]).size()
    seeds = seeds_note(counts)
    return Drawing(drawing.figure, learned(table), (seeds, *sizes, *drawing.notes))


def _long(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a row per SAE and kind of error, and a note on the sizes of PCAs."""
    parts = []
    for kind, (column, _) in _KINDS.items():
        rows = learned(table) if kind != _PCA else _nearest(table)
        parts.append(of_level(rows, kind, column, "added"))
    pca, note = parts[list(_KINDS).index(_PCA)], ()
    if len(pca):
        ratio = (pca["l0"] / pca["of_l0"]).astype(float)
        low, high = f"{ratio.min():.2g}", f"{ratio.max():.2g}"
        times = low if low == high else f"{low} to {high}"
        note = (f"PCAs have {times} times as many components as the SAE beside them has L0.",)
    return pd.concat([part for part in parts if len(part)], ignore_index=True), note


def _nearest(table: pd.DataFrame) -> pd.DataFrame:
    """Return for each SAE the PCA of its hook and seed whose size is the nearest, as its own row.

    Sizes are compared by their ratio, which is two at most; ``of_l0`` is the SAE's.
    """
    pcas = table[table["baseline"] == _PCA]
    rows = list(_pairs(learned(table), pcas))
    return pd.DataFrame(rows, columns=[*table.columns, "of_l0"])


def _pairs(saes: pd.DataFrame, pcas: pd.DataFrame) -> Iterator[pd.Series]:
    for _, sae in saes.iterrows():
        same = pcas[(pcas["model"] == sae["model"]) & (pcas["hook"] == sae["hook"])]
        same = same[same["seed"] == sae["seed"]] if (same["seed"] == sae["seed"]).any() else same
        if same.empty or not sae["l0"] > 0:
            continue
        distance = np.abs(np.log(same["l0"].astype(float) / sae["l0"]))
        if distance.min() > np.log(_ALIKE):
            continue
        found = same.loc[distance.idxmin()]
        yield pd.concat([found.drop("sae"), pd.Series({"sae": sae["sae"], "of_l0": sae["l0"]})])
