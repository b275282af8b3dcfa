"""What the study found, as paragraphs of numbers from its tables. Read `summary`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from saeflow.figures.places import learned, spread
from saeflow.metrics.similarity import ALIGNED, CORRELATION, COSINE
from saeflow.studies.classification.facts import EVERY
from saeflow.studies.saying import Say, estimate, paragraphs, span
from saeflow.studies.universality.crosscoders import EXCHANGED, MATCHED
from saeflow.studies.universality.pairs.looks import FEWER, of_comparisons
from saeflow.studies.universality.pairs.tables import CHANCE, UNRELATED

_WORDS = {
    CORRELATION: "correlation of activations",
    ALIGNED: "cosine of aligned decoder rows",
    COSINE: "cosine of decoder rows",
}
_MOST = 10  # comparisons of which there are words


def summary(tables: Mapping[str, pd.DataFrame]) -> str:
    """Return what was found, as paragraphs.

    Parameters
    ----------
    tables
        Name -> table, of those that the study has; it says nothing of those that are missing.
    """
    return "\n\n".join(paragraphs(tables, PARTS))


# -- pairs -----------------------------------------------------------------------------------------


def similar(table: pd.DataFrame) -> Iterator[str]:
    """Yield of each comparison how similar features are, with intervals and what chance gives."""
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
    """Yield how many features are compared, and what those that are not carry."""
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


# -- fates -----------------------------------------------------------------------------------------


def fates(table: pd.DataFrame) -> Iterator[str]:
    """Yield what each factor takes of similarity, of the table `factorial`."""
    own = table[(table["reference"].fillna("") == "") & (table["outcome"] == "similarity")]
    rows = _first(own[own["quantity"] == CORRELATION], ["comparison", "model", "hook", "sae"])
    if rows.empty:
        return
    said = [f"{estimate(row, 'value', '.2f')} ({row['differ']})" for _, row in rows.iterrows()]
    about = rows.iloc[0]
    yield (
        f"Of {about['n_saes']} SAEs like {about['sae']} at {about['hook']}, the best match of a"
        f" feature has a mean correlation of {', '.join(said)}, by what differs."
    )
    parts = rows[rows["portion"].notna()]
    if len(parts):
        whole = parts["portion"].sum()
        said = [f"{row['differ']} {row['portion'] / whole:.0%}" for _, row in parts.iterrows()]
        yield f"Of what is lost where all differ, {whole:.2f}, they take: {', '.join(said)}."


def shares(table: pd.DataFrame) -> Iterator[str]:
    """Yield what share of a feature's fate is its own, of the table `fate_shares`."""
    own = table[(table["quantity"] == CORRELATION) & (table["source"] == "feature")]
    rows = _first(own[own["share"].notna()], ["comparison", "model", "hook", "sae"])
    names = {"similarity": "that correlation", "found": "being found, above 0.7"}
    for outcome, row in rows.set_index("outcome").iterrows():
        yield (
            f"Which feature it is makes {estimate(row, 'share', '.0%')} of the variance of"
            f" {names[str(outcome)]} (by chance {row['chance']:.0%})."
        )


def shared(table: pd.DataFrame) -> Iterator[str]:
    """Yield what features carry that all SAEs find, of the table `found_ranked`."""
    own = table[(table["quantity"] == CORRELATION) & (table["among"] == "all")]
    for _, row in own[own["at_least"] == own["n_saes"]].head(1).iterrows():
        others = "The other SAE finds" if row["n_saes"] == 1 else f"All {row['n_saes']} others find"
        yield (
            f"{others} {estimate(row, 'features', '.0%')} of the features of {row['sae']} at"
            f" {row['hook']}, which carry {estimate(row, 'carried', '.0%')} of its reconstruction."
        )


def split(table: pd.DataFrame) -> Iterator[str]:
    """Yield how many features come apart in the next wider SAE, of the table `children`."""
    rows = _first(table, ["model", "hook", "family", "seed"])
    said = []
    for (wide, narrow), own in rows.groupby(["wide_expansion", "narrow_expansion"]):
        several = own.loc[own["n_children"] > 1, "share"].sum()
        new = own["new"].iloc[0]
        said.append(f"{several:.0%} from {narrow:g} to {wide:g} ({new:.0%} of the wider are new)")
    if said:
        yield (
            f"Features of {rows['family'].iloc[0]} and wider SAEs at {rows['hook'].iloc[0]} with"
            f" two children or more: {', '.join(said)}."
        )


def absorbed(table: pd.DataFrame) -> Iterator[str]:
    """Yield what becomes of features' tokens in a wider SAE, of the table `absorption`."""
    rows = _first(table, ["model", "hook", "family", "seed", "narrow", "wide"])
    if rows.empty:
        return
    said = rows.set_index("outcome")
    yield (
        f"Where a feature of {rows['narrow'].iloc[0]} is active, the one of {rows['wide'].iloc[0]}"
        f" that is most like it is too on {estimate(said.loc['kept'], 'share', '.0%')} of the"
        f" tokens (by chance {said.loc['kept', 'null']:.0%}), and children of it alone on"
        f" {estimate(said.loc['absorbed'], 'share', '.0%')}."
    )


def _first(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the rows of one set of names: of those that have most, the first."""
    if not len(table):
        return table
    n = table.groupby(names, sort=False, dropna=False)[names[0]].transform("size")
    own = table[n == n.max()]
    return own[(own[names] == own[names].iloc[0]).all(axis=1)]


# -- matches ---------------------------------------------------------------------------------------


def known(table: pd.DataFrame) -> Iterator[str]:
    """Yield whether SAEs find the same facts, and whether features of facts match better."""
    own = table[(table["kind"] == EVERY) & (table["similarity"] == CORRELATION)]
    if own.empty:
        return
    row, others = own.iloc[0], own.iloc[1:].dropna(subset="more")
    yield (
        f"Of {row['n_facts']:.0f} known facts of the world, all {row['n_saes']:.0f} SAEs of"
        f" '{row['comparison']}' find {row['found_by_all']:.0f} by a single feature, and none finds"
        f" {row['found_by_none']:.0f}."
    )
    if row["n_compared"]:
        yield (
            f"Features that find a fact correlate with their best matches by {row['value']:.2f} in"
            f" the mean, others that are as frequent by {row['alike']:.2f} (difference"
            f" {estimate(row, 'more', '+.2f')}); the match finds the same fact in"
            f" {row['same']:.0%} of cases."
        )
    if len(others):
        said = (
            f"{estimate(row, 'more', '+.2f')} ({row['comparison']})" for _, row in others.iterrows()
        )
        yield f"Elsewhere that difference is {', '.join(said)}."


# -- crosscoders -----------------------------------------------------------------------------------


def of_places(table: pd.DataFrame) -> Iterator[str]:
    """Yield how much of its dictionaries a crosscoder shares between places."""
    for row in table.itertuples():
        places = f"{row.model} {row.hook} and {row.other_model} {row.other_hook}"
        what = " (one of them of shuffled weights)" if row.shuffled else ""
        yield (
            f"Of {row.live} live features of the crosscoder {row.sae} of {places}{what},"
            f" {row.shared:.0%} are shared, {row.own:.0%} are the first place's alone and"
            f" {row.other:.0%} the second's."
        )


def agreeing(table: pd.DataFrame) -> Iterator[str]:
    """Yield whether matched features of two SAEs are one feature of the crosscoder."""
    own = table[~table["shuffled"].astype(bool)].dropna(subset=["found"])
    matched, exchanged = (own[own["kind"] == kind]["found"] for kind in (MATCHED, EXCHANGED))
    if len(matched) and len(exchanged):
        yield (
            f"Of matched features of SAEs at the two places of a crosscoder {span(matched, '.0%')}"
            f" are one of its features, with exchanged partners {span(exchanged, '.0%')}."
        )


PARTS: dict[str, Say] = {
    "similarity": similar,
    "counts": counted,
    "factorial": fates,
    "fate_shares": shares,
    "found_ranked": shared,
    "children": split,
    "absorption": absorbed,
    "facts_universal": known,
    "crosscoder_shares": of_places,
    "crosscoder_agreement": agreeing,
}
"""Table -> what is said of it, in this order."""
