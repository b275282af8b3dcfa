"""How similarities, statistics, directions and nulls are called and drawn, in all figures."""

from __future__ import annotations

import pandas as pd

from saeflow.figures.style import MUTED, Look
from saeflow.metrics.similarity import ALIGNED, CORRELATION, COSINE, ENCODER, UNCENTRED
from saeflow.studies.universality.comparisons import NULLS
from saeflow.studies.universality.pairs.tables import FORWARD

QUANTITY = {
    COSINE: "Cosine of decoder rows",
    ALIGNED: "Cosine of aligned decoder rows",
    ENCODER: "Cosine of encoder columns",
    CORRELATION: "Correlation of activations",
    UNCENTRED: "Cosine of activations",
}
"""The similarities, in the order of panels."""

NULL = {
    "null_gaussian": Look(MUTED, "|", "random directions"),
    "null_columns": Look("#8c510a", "|", "shuffled coordinates"),
    "null_uniform": Look("#b3261e", "|", "positive random directions"),
    "null_tokens": Look("#01665e", "|", "shuffled tokens"),
    "null_layer": Look("#cc79a7", "s", "SAE at another layer"),
    "null_random": Look("#e69f00", "D", "SAE with random weights"),
    "null_model": Look("#7b3294", "^", "SAE of a shuffled model"),
}
"""What similarities are held against, in the order of legends."""

FEWER, MORE = "fewer", "more"
SENSE = {
    FEWER: ("of the SAE with fewer features in the other", 0),
    MORE: ("of the one with more", 1),
}
"""Whose features are looked for in which SAE: in words, and the variant of markers."""

SPACE = {"cka": "Linear CKA", "svcca": "SVCCA", "rsa": "RSA"}
"""The similarities of spaces."""


def of_comparisons(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of comparisons, without nulls, with ``row`` and ``sense``.

    ``row`` names the comparison and what its SAEs differ in; ``sense``, of `SENSE`, says whose
    features are looked for: those of the SAE with fewer live ones, or with more.
    """
    own = table[~table["comparison"].isin(NULLS)]
    names = [_named(*both) for both in zip(own["comparison"], own["differ"], strict=True)]
    own = own.assign(row=names)
    if "direction" in own:
        fewer = (own["direction"] == FORWARD) == (own["n_first"] <= own["n_second"])
        own = own.assign(sense=fewer.map({True: FEWER, False: MORE}))
    return own


def _named(comparison: str, differ: str) -> str:
    return comparison if differ.rstrip("s") == comparison.rstrip("s") else f"{comparison}: {differ}"
