"""How similar SAEs are, and how many of their features were compared, in words."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from saeflow.figures.places import learned, spread
from saeflow.metrics.similarity import ALIGNED, CORRELATION, COSINE
from saeflow.studies.saying import estimate, span
from saeflow.studies.universality.pairs.looks import FEWER, of_comparisons
from saeflow.studies.universality.pairs.tables import CHANCE, UNRELATED

_WORDS = {
    CORRELATION: "correlation of activations",
    ALIGNED: "cosine of aligned decoder rows",
    COSINE: "cosine of decoder rows",
}
_MOST = 10


def similar(table: pd.DataFrame) -> Iterator[str]:
    """Yield of each comparison how similar features are, with intervals and what chance gives.

    Parameters
    ----------
    table
        That of `saeflow.studies.universality.pairs.seeds.over_seeds`.
    """
    table = of_comparisons(table)
    table = table[(table["sense"] == FEWER) & table["value"].notna()]
    names = list(dict.fromkeys(table["row"]))
    if names:
        yield (
            "Similarity of the best match, a mean over the features of the SAE with fewer of them"
            " (in brackets 95 % intervals where there are any; what chance gives; and the most of"
            " SAEs that should have nothing in common):"
        )
    shown = spread(names, _MOST)
    for name in shown:
        rows = table[table["row"] == name]
        said = [_numbers(rows, quantity) for quantity in _WORDS]
        yield f"{name}: {'; '.join(filter(None, said))}."
    if len(shown) < len(names):
        yield f"The table has {len(names) - len(shown)} further comparisons."


def _numbers(rows: pd.DataFrame, quantity: str) -> str:
    """Return a similarity, its nulls, and the share of features above 0.7; "" for none."""
    own = rows[rows["quantity"] == quantity]
    mean, above = (own[own["statistic"] == name] for name in ("mean_max", "above_07"))
    if mean.empty:
        return ""
    one = estimate(mean.iloc[0], "value", ".2f") if len(mean) == 1 else span(mean["value"], ".2f")
    said = f"{_WORDS[quantity]} {one}"
    for words, nulls in (("chance", CHANCE), ("others", UNRELATED)):
        largest = mean[list(nulls)].max(axis=1).max()
        said += "" if pd.isna(largest) else f", {words} {largest:.2f}"
    return said + (f", {span(above['value'], '.0%')} above 0.7" if len(above) else "")


def counted(table: pd.DataFrame) -> Iterator[str]:
    """Yield how many features are compared, and what those that are not carry.

    Parameters
    ----------
    table
        That of `saeflow.studies.universality.pairs.tables.counts`.
    """
    own = learned(table)
    if own.empty:
        return
    live, missed = own["live"] / own["width"], 1 - own["carried"].min()
    yield (
        f"Compared are the live features of {len(own)} trained SAEs, {span(live, '.0%')} of their"
        f" widths; dead, rare and duplicate ones are counted and left out, and carry at most"
        f" {missed:.1%} of a reconstruction."
    )
    fewer = table[table["n_tokens"] < table["asked"]]
    if len(fewer):
        yield (
            f"There were {span(fewer['n_tokens'], ',.0f')} tokens where"
            f" {span(fewer['asked'], ',.0f')} were asked for."
        )
