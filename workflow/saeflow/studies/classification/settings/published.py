"""What the paper says of probes of SAEs, and whether it holds of ours.

Statements of "Are Sparse Autoencoders Useful? A Case Study in Sparse Probing" (Kantamneni et al.,
2025), on Gemma 2 9B and Llama 3.1 8B with SAEs of Gemma Scope and Llama Scope, and of the authors'
earlier post "SAE Probing: What is it good for?" (2024). They are about signs and orders, which may
carry over to other models; the numbers behind them cannot, and none is repeated here. Read
`published`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from saeflow.figures.places import learned
from saeflow.probing.draws import IMBALANCE, NOISE, NORMAL, SCARCITY, SHIFT
from saeflow.studies.claims import Claim, Values
from saeflow.studies.classification.settings.along import FEW_LATENTS, MORE_LATENTS
from saeflow.studies.classification.settings.compared import ALL
from saeflow.studies.classification.settings.tables import BEST, BEST_SPARSE, choices
from saeflow.studies.classification.settings.wins import LOGISTIC, wins
from saeflow.tables.runs import Run
from saeflow.tables.statistics import rank_correlation

_SETTINGS = {
    NORMAL: "all examples",
    SCARCITY: "few examples",
    IMBALANCE: "unequal classes",
    NOISE: "turned labels",
    SHIFT: "another source",
}
_HALF = 0.5
_SAE = ["labelled", "model", "hook", "sae", "seed", "pooling"]
_HOOK = ["labelled", "model", "hook", "seed", "pooling"]


def published(runs: Sequence[Run], *, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Return one row per statement; intervals that a rule speaks of are those of the tables."""
    won = learned(wins(runs, bootstrap=bootstrap, seed=seed))
    chosen = learned(choices(runs, bootstrap=bootstrap, seed=seed))
    return pd.DataFrame([*_gains(chosen), *_wins(won), *_sizes(won)], columns=Claim._fields)


def _gains(table: pd.DataFrame) -> Iterator[Claim]:
    """Yield of each setting whether SAE probes do not make choices better throughout."""
    for setting, words in _SETTINGS.items():
        rows = table[(table["setting"] == setting) & (table["sae"] != ALL)]
        gains = Values.mean(rows.groupby(_SAE)["gain"].mean())
        above = float((rows["gain_low"] > 0).mean()) if len(rows) else np.nan
        yield gains.claim(
            f"gain in AUC by adding SAE probes to the choice, {words}", np.nan,
            "intervals above zero for no more than half of SAEs and conditions",
            holds=above <= _HALF,
        )  # fmt: skip


def _wins(won: pd.DataFrame) -> Iterator[Claim]:
    """Yield whether few latents lose, more lose less, and whether some tasks are won."""
    few, more = (_of(won, f"k = {k}", LOGISTIC) for k in (FEW_LATENTS, MORE_LATENTS))
    best = Values.mean(_of(won, BEST_SPARSE, BEST))
    lost, apart = Values.mean(few), Values.mean((more - few).dropna())
    for found, name, rule, holds in (
        (
            lost, f"share of tasks won by {FEW_LATENTS} latents against logistic regression",
            "below one half", lost.ours < _HALF,
        ),
        (
            apart, f"share of tasks won by {MORE_LATENTS} latents minus that by {FEW_LATENTS}",
            "positive", apart.ours > 0,
        ),
        (
            best, "share of tasks won by the best SAE probe against the best baseline",
            "above zero and below one half", 0 < best.ours < _HALF,
        ),
    ):  # fmt: skip
        yield found.claim(name, np.nan, rule, holds=holds)


def _sizes(won: pd.DataFrame) -> Iterator[Claim]:
    """Yield whether SAEs of more features, and of more active ones, have the better probes."""
    rows = won[(won["probe"] == BEST_SPARSE) & (won["opponent"] == BEST)]
    for column, words in (("d_sae", "width"), ("l0", "L0")):
        r = {
            hook: rank_correlation(own[column].to_numpy(float), own["gain"].to_numpy(float)).value
            for hook, own in rows.groupby(_HOOK)
        }
        found = Values.mean(pd.Series(r, dtype=float))
        yield found.claim(
            f"rank correlation of the best SAE probe's AUC with the {words} of the SAE", np.nan,
            "positive, of five SAEs of a hook or more", holds=found.ours > 0,
        )  # fmt: skip


def _of(won: pd.DataFrame, probe: str, opponent: str) -> pd.Series:
    """Return the share of tasks that a kind of probe wins against an opponent, by SAE."""
    rows = won[(won["probe"] == probe) & (won["opponent"] == opponent)]
    return rows.groupby(_SAE)["won"].mean()
