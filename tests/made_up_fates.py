"""Made-up pairs of SAEs whose matches are written anew, for what becomes of features in others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from made_up_pairs import MadeUp, study
from saeflow.studies.study import every_sae
from saeflow.tables.runs import Key

Change = Callable[[Key, Key, pd.DataFrame, pd.DataFrame], None]
"""Rewrites the matches of the first SAE's live latents among the second's, given those of both."""


def changed(made: MadeUp, change: Change) -> MadeUp:
    """Let ``change`` rewrite what was found of each pair, in both directions."""
    for run in made.runs:
        if "similarity" in run.records:
            keys = run.key.training, *run.key.other
            first, second = (
                run.records["similarity"].table(f"{side}.parquet") for side in ("first", "second")
            )
            saes = [key.training for key in keys]
            change(saes[0], saes[1], first, second)
            change(saes[1], saes[0], second, first)
    return made


def own_saes(made: MadeUp) -> list[dict[str, Any]]:
    """Return the study's own SAEs of the first seed."""
    return list(every_sae({}, {**made.section, "seeds": made.section["seeds"][:1]}))


def noisy(made: MadeUp) -> MadeUp:
    """Lower the similarities of single features at random."""
    rng = np.random.default_rng(0)

    def lower(own: Key, other: Key, table: pd.DataFrame, others: pd.DataFrame) -> None:  # noqa: ARG001
        for name in {"cosine", "correlation"} & {*table}:
            table[name] = (table[name] - rng.exponential(0.15, len(table))).clip(0, 1)

    return changed(made, lower)


def families(made: MadeUp) -> MadeUp:
    """Give features parents, few of them very many children."""
    rng = np.random.default_rng(0)

    def descend(own: Key, other: Key, table: pd.DataFrame, others: pd.DataFrame) -> None:  # noqa: ARG001
        at = np.minimum(rng.zipf(1.5, len(table)) - 1, len(others) - 1)
        table["cosine_match"] = others["latent"].to_numpy()[at]
        table["cosine"] = rng.uniform(0.3, 1, len(table))
        same = rng.random(len(table)) < 0.7
        table["correlation_match"] = np.where(
            same, table["cosine_match"], table["correlation_match"]
        )

    return changed(made, descend)


def widths(n: int, **given: Any) -> MadeUp:
    """Return a study of SAEs of expansion 1, 2, 4, ..., each compared with each."""
    names = [f"topk-x{2**i}" for i in range(n)]
    comparison = {"vary": ["sae"], "saes": names, "seeds": given.get("seeds")}
    return study({"widths": comparison}, saes=("topk-x1",), **given)
