"""What the study found, as a paragraph of numbers from its tables. Read `summary`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from saeflow.figures.places import learned
from saeflow.studies.saying import estimate
from saeflow.tables.runs import ORIGINAL

Tables = Mapping[str, pd.DataFrame]

# A bias that moved can turn a latent on or off by rounding.
_SAME_L0 = 1e-3
_SAE = ["model", "hook", "sae", "seed"]
_OF_CURE = (
    "kept", "mse_reduction", "l2_ratio", "reconstruction_bias", "perplexity_recovery",
    "language_change",
)  # fmt: skip


def summary(tables: Tables) -> str:
    """Return what was found: suppression, its best cure, and what that is worth.

    Parameters
    ----------
    tables
        Name -> table, of those that the study has; it says nothing of those that are missing.

    Returns
    -------
    str
        Paragraphs, with means over SAEs, and the lowest and the highest SAE.
    """
    parts: list[Iterator[str]] = []
    if "suppression_by_architecture" in tables:
        parts.append(_suppression(tables))
    if "kept" in tables:
        parts += [_cure(name, own) for name, own in _by_architecture(tables)]
        parts.append(_sparsity(tables["kept"]))
    if "published" in tables:
        parts.append(_left_out(tables["published"]))
    return "\n\n".join(filter(None, map(" ".join, parts)))


def _suppression(tables: Tables) -> Iterator[str]:
    """Yield which architecture suppresses most, and how far the others are from it."""
    table = tables["suppression_by_architecture"]
    table = learned(table)
    bias = table.groupby("architecture")["reconstruction_bias"].mean().dropna()
    if bias.empty:
        return
    most = bias.idxmin()
    rows, others = table[table["architecture"] == most], table[table["architecture"] != most]
    text = (
        f"Most is suppressed in {most} SAEs: their L2 ratio is {_over(rows, 'l2_ratio')}, their"
        f" relative reconstruction bias {_over(rows, 'reconstruction_bias')}"
    )
    if len(others):
        names = ", ".join(dict.fromkeys(others["architecture"]))
        low, high = others["reconstruction_bias"].agg(["min", "max"])
        text += f"; that of the others ({names}, {len(others)} SAEs) is {low:.4f} to {high:.4f}"
    yield f"{text}."


def _by_architecture(tables: Tables) -> Iterator[tuple[str, Tables]]:
    """Yield each architecture of SAEs that were fine-tuned, and the rows of its SAEs."""
    known = tables.get("suppression_by_architecture")
    if known is None:
        yield "all", tables
        return
    known = known[[*_SAE, "architecture"]]
    own = {name: table.merge(known, on=_SAE) for name, table in tables.items() if name in _OF_CURE}
    for architecture in own["kept"]["architecture"].unique():
        rows = {name: t[t["architecture"] == architecture] for name, t in own.items()}
        yield architecture, rows


def _cure(architecture: str, tables: Tables) -> Iterator[str]:
    """Yield what the method does that removes most error at the same active latents."""
    kept = _ratios(tables["kept"]).sub(1).abs().groupby(level="method").max()
    frozen = kept.index[kept < _SAME_L0]
    reduction = tables["mse_reduction"]
    means = reduction[reduction["method"].isin(frozen)].groupby("method")["mse_reduction"].mean()
    if means.dropna().empty:
        return
    best = means.idxmax()

    def of(name: str, told: Callable[[pd.DataFrame, str], str] = _over) -> str:
        table = tables[name]
        return told(table[table["method"] == best], name)

    tuned = reduction.loc[reduction["method"] == best, "sae"].unique()
    lengths = tables["l2_ratio"]
    before = lengths[(lengths["method"] == ORIGINAL) & lengths["sae"].isin(tuned)]
    yield (
        f"Of the methods that leave the active latents of {architecture} SAEs as they are, {best}"
        f" removes most of the squared error: {of('mse_reduction')}. It brings the L2 ratio from"
        f" {before['l2_ratio'].mean():.3g} to {of('l2_ratio')}, and the relative bias to"
        f" {of('reconstruction_bias')}."
    )
    if "perplexity_recovery" in tables:
        yield (
            "Of the perplexity that such an SAE adds to the model it takes off"
            f" {of('perplexity_recovery', _median)}; the loss changes by {of('language_change')}"
            " nats per token."
        )


def _left_out(published: pd.DataFrame) -> Iterator[str]:
    """Yield which SAEs do not stand beside the post's, and why."""
    row = published.sort_values(["n_saes", "n_excluded"]).iloc[-1]
    if row["n_excluded"]:
        yield (
            f"Beside the post's numbers stand {row['n_saes']} SAEs with its loss;"
            f" {row['n_excluded']} are left out: {row['excluded']}."
        )


def _sparsity(kept: pd.DataFrame) -> Iterator[str]:
    """Yield by which methods more latents, or fewer, are active."""
    ratios = _ratios(kept).groupby(level="method", sort=False).agg(["min", "max"])
    moved = ratios[(ratios - 1).abs().max(axis=1) >= _SAME_L0]
    if len(moved):
        named = ", ".join(
            f"{method} ({low:.3g} to {high:.3g} times)" for method, low, high in moved.itertuples()
        )
        yield f"L0 is changed by {named}."


def _ratios(kept: pd.DataFrame) -> pd.Series:
    """Return L0 after over before of each fine-tuned SAE, by method."""
    return (kept["l0_after"] / kept["l0_before"]).set_axis(kept["method"])


def _over(rows: pd.DataFrame, name: str) -> str:
    """Return a number of one SAE with its interval, of several the mean and the range."""
    values = rows[name]
    if len(rows) == 1:
        return estimate(rows.iloc[0], name, ".3g")
    return f"{values.mean():.3g} on average ({values.min():.3g} to {values.max():.3g})"


def _median(rows: pd.DataFrame, name: str) -> str:
    """Return the same of a ratio that is noise where an SAE adds little: median and quartiles."""
    if len(rows) == 1:
        return estimate(rows.iloc[0], name, ".3g")
    low, middle, high = rows[name].quantile([0.25, 0.5, 0.75])
    return f"{middle:.3g} in the median ({low:.3g} to {high:.3g} in half of them)"
