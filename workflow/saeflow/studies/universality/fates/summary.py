"""What decides whether a feature is found, in words: of one of several designs or SAEs."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from saeflow.studies.saying import estimate

_QUANTITY = "correlation"


def fates(table: pd.DataFrame) -> Iterator[str]:
    """Yield what each factor takes of similarity, of the table `factorial`."""
    own = table[(table["reference"].fillna("") == "") & (table["outcome"] == "similarity")]
    rows = _first(own[own["quantity"] == _QUANTITY], ["comparison", "model", "hook", "sae"])
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
    own = table[(table["quantity"] == _QUANTITY) & (table["source"] == "feature")]
    rows = _first(own[own["share"].notna()], ["comparison", "model", "hook", "sae"])
    names = {"similarity": "that correlation", "found": "being found, above 0.7"}
    for outcome, row in rows.set_index("outcome").iterrows():
        yield (
            f"Which feature it is makes {estimate(row, 'share', '.0%')} of the variance of"
            f" {names[str(outcome)]} (by chance {row['chance']:.0%})."
        )


def shared(table: pd.DataFrame) -> Iterator[str]:
    """Yield what features carry that all SAEs find, of the table `found_ranked`."""
    own = table[(table["quantity"] == _QUANTITY) & (table["among"] == "all")]
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
