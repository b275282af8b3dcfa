"""Made-up pairs of SAEs whose matches are written anew, for what becomes of features in others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from made_up_pairs import MadeUp, study, width
from saeflow.metrics.splitting import LEAST, NARROW, WIDE
from saeflow.studies.study import every_sae
from saeflow.studies.universality.reading import SIDES
from saeflow.tables.runs import Key, Record, Run

Change = Callable[[Key, Key, pd.DataFrame, pd.DataFrame], None]
"""Rewrites the matches of the first SAE's live latents among the second's, given those of both."""


def changed(made: MadeUp, change: Change) -> MadeUp:
    """Let ``change`` rewrite what was found of each pair, in both directions."""
    for run in made.runs:
        if "similarity" in run.records:
            one, other = (key.training for key in (run.key, *run.key.other))
            first, second = (run.records["similarity"].table(f"{side}.parquet") for side in SIDES)
            change(one, other, first, second)
            change(other, one, second, first)
    return made


def own_saes(made: MadeUp) -> list[dict[str, Any]]:
    """Return the study's own SAEs of the first seed."""
    return list(every_sae({}, {**made.section, "seeds": made.section["seeds"][:1]}))


def noisy(made: MadeUp) -> MadeUp:
    """Lower the similarities of single features at random."""
    rng = np.random.default_rng(0)

    def lower(own: Key, other: Key, table: pd.DataFrame, others: pd.DataFrame) -> None:  # noqa: ARG001
        for name in [name for name in ("cosine", "correlation") if name in table]:
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


def family(own: Key, other: Key, table: pd.DataFrame, others: pd.DataFrame) -> None:  # noqa: ARG001
    """Give features of the wider SAE parents two by two, but for the last five, with no one."""
    wider = len(table) > len(others)
    at = np.arange(len(table)) // 2 % len(others) if wider else np.arange(len(table))
    table["cosine_match"] = table["correlation_match"] = others["latent"].to_numpy()[at]
    table["cosine"] = np.where(np.arange(len(table)) < len(table) - 5, 0.8, 0.2)


def counted(made: MadeUp) -> MadeUp:
    """Add what is counted of two widths: each main latent is active on half of a feature's tokens.

    On a quarter a child is, where there is one. Every child has its parent on four fifths of its
    tokens.
    """
    runs = []
    for run in made.runs:
        keys = (run.key.training, *(key.training for key in run.key.other))
        if len(keys) == 2 and width(keys[0]) != width(keys[1]):
            both = [run.records["similarity"].table(f"{side}.parquet") for side in SIDES]
            narrow, wide = sorted(both, key=len)
            parent = np.where(wide["cosine"] >= LEAST, wide["cosine_match"], -1)
            children = pd.Series(parent).value_counts().reindex(narrow["latent"]).fillna(0)
            active = narrow["active"].to_numpy()
            tables = {
                NARROW: pd.DataFrame(
                    {
                        "latent": narrow["latent"], "active": active,
                        "main": narrow["cosine_match"], "main_cosine": narrow["cosine"],
                        "n_children": children.to_numpy(int), "kept": active // 2,
                        "absorbed": np.where(children > 0, active // 4, 0),
                        "children_active": active,
                    }
                ),
                WIDE: pd.DataFrame(
                    {
                        "latent": wide["latent"], "active": wide["active"], "parent": parent,
                        "cosine": wide["cosine"], "together": 0.8 * wide["active"],
                    }
                ),
            }  # fmt: skip
            more = {"splitting": Record({}, tables.__getitem__)}
            run = Run(run.key, {**run.records, **more})  # noqa: PLW2901
        runs.append(run)
    return made._replace(runs=tuple(runs))


def widths(n: int, **given: Any) -> MadeUp:
    """Return a study of SAEs of expansion 1, 2, 4, ..., each compared with each."""
    names = [f"topk-x{2**i}" for i in range(n)]
    comparison = {"vary": ["sae"], "saes": names, "seeds": given.get("seeds")}
    return study({"widths": comparison}, saes=("topk-x1",), **given)
