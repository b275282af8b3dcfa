"""What SAEs' errors do in later layers, as tables: of each pair of layers, and by which way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from saeflow.hooks import Hook
from saeflow.metrics.intervals import form, totals_and_draws
from saeflow.metrics.propagation import (
    CHAIN,
    FULL,
    PAIRS,
    QUANTITIES,
    RATIOS,
    WAYS,
    mean_of_ratios,
    median,
    published,
    ratio_of_means,
)
from saeflow.tables.builders import EXTENT, KEY, columns, with_ends
from saeflow.tables.runs import DOCUMENT, Run

KIND = "propagation"
_LATER = ("later_hook", "later_block", "later_sae")
_AVERAGES = {"change": ratio_of_means, "mean_change": mean_of_ratios}
_OTHERS = ("median_change", "published_change", "clean", "changed", "left_out")


def propagation(
    runs: Sequence[Run], *, metrics: Sequence[str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return what becomes of each later SAE's error, L0 and input when an earlier SAE is put in.

    Parameters
    ----------
    runs
        With their propagation, and where it is known their reconstruction.
    metrics
        Of the latter, which are given of the later SAEs as ``later_{metric}``.
    bootstrap, seed
        Number of resamples of the documents, and their seed.

    Returns
    -------
    DataFrame
        A row per earlier SAE, later SAE, quantity and way: ``change`` (ratio of means - 1) and
        ``mean_change`` (mean of ratios - 1) with intervals; ``median_change``, which has none
        because ratios are not kept by document; ``published_change``, as the post's notebook
        computed it, where contexts are long enough; ``clean`` and ``changed`` per token;
        ``left_out``, the tokens without a ratio because the quantity is zero in the clean run.
    """
    alone = {
        (run.key.model, run.key.seed, run.key.hook, run.key.sae): run.estimates(metrics)
        for run in runs
        if "reconstruction" in run.records
    }
    rows = []
    for run in _with_propagation(runs):
        record, about = run.records[KIND], {**run.key.columns(), **_extent(run)}
        counts = dict(_groups(record.table(RATIOS), "hook", "sae", "quantity", "way"))
        for (hook, sae), pair in _groups(record.table(PAIRS), "hook", "sae"):
            known = alone.get((run.key.model, run.key.seed, hook, sae), {})
            later = {
                "later_hook": hook,
                "later_block": Hook.parse(hook).block,
                "later_sae": sae,
                **{f"later_{name}": known[name].value for name in known},
            }
            for (quantity, way), own in _of_pair(pair, bootstrap=bootstrap, seed=seed):
                found = counts.get((hook, sae, quantity, way))
                middle = np.nan if found is None else median(found["bin"], found["tokens"]) - 1
                names = {"quantity": quantity, "way": way, "median_change": middle}
                rows.append({**about, **later, **names, **own})
    names = [*_LATER, *(f"later_{name}" for name in metrics), "quantity", "way", *EXTENT]
    return pd.DataFrame(rows, columns=[*KEY, *names, *with_ends(_AVERAGES), *_OTHERS])


def _of_pair(
    pair: Mapping[str, np.ndarray], *, bootstrap: int, seed: int
) -> Iterator[tuple[tuple[str, str], dict[str, float | None]]]:
    """Yield quantity and way, and the numbers that are formed of a pair's sums per document."""
    documents = pair[DOCUMENT]
    sums = {name: c for name, c in pair.items() if name not in (DOCUMENT, "hook", "sae")}
    totals, drawn = totals_and_draws(sums, bootstrap, seed)
    halves = [
        {name: column[documents % 2 == part].sum() for name, column in sums.items()}
        for part in (0, 1)
    ]
    for quantity in QUANTITIES:
        for way in WAYS:
            made = {
                name: form(partial(formula, quantity=quantity, way=way), totals, drawn)
                for name, formula in _AVERAGES.items()
            }
            notebook = form(lambda _, q=quantity: published(*halves, q), totals, {})
            yield (
                (quantity, way),
                {
                    **columns(made),
                    "published_change": notebook.value if way == FULL else None,
                    "clean": totals[quantity] / totals["tokens"],
                    "changed": totals[f"{quantity}_{way}"] / totals["tokens"],
                    "left_out": int(totals["tokens"] - totals[f"{quantity}_compared"]),
                },
            )


def split(
    runs: Sequence[Run], *, metrics: Sequence[str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return the loss that each SAE adds as a whole, and by the ways that its error may take.

    A row per SAE and way: ``delta_ce`` with its interval, of the metrics ``delta_ce_{way}``;
    without numbers where the model does not allow it.
    """
    rows = []
    for run in _with_propagation(runs):
        found = run.estimates(metrics, bootstrap=bootstrap, seed=seed)
        for name, estimate in found.items():
            about = {**run.key.columns(), "way": name.removeprefix("delta_ce_"), **_extent(run)}
            rows.append({**about, **columns({"delta_ce": estimate})})
    return pd.DataFrame(rows, columns=[*KEY, "way", *EXTENT, *with_ends(["delta_ce"])])


def _with_propagation(runs: Sequence[Run]) -> Iterator[Run]:
    return (run for run in runs if KIND in run.records)


def _extent(run: Run) -> dict[str, Any]:
    return {name: run.records[KIND].facts[name] for name in EXTENT}


def _groups(table: pd.DataFrame, *by: str) -> Iterator[tuple[tuple, dict[str, np.ndarray]]]:
    """Yield the columns of the rows of each group, in the order of their first rows."""
    if table.empty:  # an SAE of which all later ones could not be made
        return
    for key, rows in table.groupby(list(by), sort=False):
        yield key, {name: rows[name].to_numpy() for name in rows}


def parts(table: pd.DataFrame) -> pd.DataFrame:
    """Select of the table of ways what a single SAE does."""
    return table[table["way"] != CHAIN]


def together(table: pd.DataFrame) -> pd.DataFrame:
    """Select of the table of ways a single SAE and those at all later hooks too."""
    return table[table["way"].isin((FULL, CHAIN))]
