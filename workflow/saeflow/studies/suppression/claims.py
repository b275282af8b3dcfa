"""What the comparison with the post is made of: its SAEs, numbers over them, claims.

The post is about ReLU SAEs with an L1 penalty, in whatever units; SAEs of another loss are counted,
and stand in no number. Read `Population`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from saeflow.metrics.language import SMALL_GAP_NATS
from saeflow.metrics.registry import METRICS, measure_of
from saeflow.studies.suppression.laws import L1, law_of
from saeflow.tables.pairs import compare, pairs
from saeflow.tables.runs import Key, Run

SAME, OTHER, ABSENT = "as published", "not as published", "not made"
MEAN, MEDIAN, RATIO = "mean over SAEs", "median over SAEs", "ratio of sums over SAEs"
NOISE = f"it adds less than {SMALL_GAP_NATS:g} nats"
"""Why an SAE has no share of what it adds."""
BEFORE, AFTER = "before", "after"


class Claim(NamedTuple):
    """One published number or relation beside ours.

    Attributes
    ----------
    claim : str
        In words.
    published : float
        The post's number.
    ours : float
        Over SAEs, as ``statistic`` says.
    lowest, highest : float
        Of single SAEs.
    n_saes : int
        Of which ours is made.
    statistic : str
        `MEAN`, `MEDIAN` or `RATIO`.
    n_excluded : int
        SAEs that were fine-tuned so and have another loss than the post's, or no such number, or
        one that is noise.
    excluded : str
        Why these were left out, and how many for each reason.
    verdict : str
        `SAME`, `OTHER` or `ABSENT`.
    rule : str
        By what the verdict was given.
    """

    claim: str
    published: float
    ours: float
    lowest: float
    highest: float
    n_saes: int
    statistic: str
    n_excluded: int
    excluded: str
    verdict: str
    rule: str


class Values(NamedTuple):
    """A number over SAEs.

    Attributes
    ----------
    ours : float
        NaN for no SAEs.
    of_saes : ndarray (n,)
        Those of single SAEs.
    n_saes : int
        SAEs of which it is made.
    statistic : str
        `MEAN`, `MEDIAN` or `RATIO`.
    n_noise : int
        SAEs whose own number is noise, so that they are left out.
    """

    ours: float
    of_saes: np.ndarray
    n_saes: int
    statistic: str
    n_noise: int = 0

    @classmethod
    def mean(cls, values: pd.Series) -> Values:
        """Return the mean of values by SAE; undefined ones are left out."""
        found = values.dropna().astype(float)
        return cls(_of(np.mean, found), found.to_numpy(), found.index.nunique(), MEAN)

    @classmethod
    def median(cls, values: pd.Series, noise: pd.Series) -> Values:
        """Return the median of values by SAE, without those that are undefined or ``noise``."""
        found = values[~noise].dropna().astype(float)
        n_noise = int((noise & values.notna()).sum())
        return cls(_of(np.median, found), found.to_numpy(), found.index.nunique(), MEDIAN, n_noise)

    @classmethod
    def ratio(cls, above: pd.Series, below: pd.Series) -> Values:
        """Return the sum of ``above`` over that of ``below`` (not negative), by SAE."""
        some = below > 0
        ours = float(above.sum() / below.sum()) if some.any() else np.nan
        found = (above / below)[some].to_numpy(float)
        return cls(ours, found, below.index.nunique(), RATIO)


def _of(statistic: Callable[[pd.Series], float], values: pd.Series) -> float:
    return float(statistic(values)) if len(values) else np.nan


class Population:
    """The SAEs of the post's loss that were fine-tuned by steps, as the post's were.

    Of several methods with the same trainable weights the mean is taken, SAE by SAE.

    Parameters
    ----------
    runs
        All SAEs of a study.
    metrics
        What is told of them; paired metrics are effects of fine-tuning.
    """

    def __init__(self, runs: Iterable[Run], metrics: Sequence[str]) -> None:
        self._laws: dict[str, dict[Key, str]] = {}
        effects = [name for name in metrics if METRICS[name].paired]
        states = [name for name in metrics if name not in effects]
        rows = []
        for parent, tuned in pairs(tuple(runs)):
            settings = tuned.sae["settings"]
            if settings["solver"] != "steps":
                continue
            law = law_of(parent.sae, parent.sae["d_in"]).name
            self._laws.setdefault(settings["method"], {})[parent.key] = law
            if law == L1:
                which = {"fit": settings["method"], "parent": parent.key}
                rows.append({**which, **_numbers(parent, tuned, effects, states)})
        columns = [*effects, *(f"{name}_{end}" for name in states for end in (BEFORE, AFTER))]
        found = pd.DataFrame(rows, columns=["fit", "parent", *columns])
        found[columns] = found[columns].astype(float)
        means = found.groupby(["fit", "parent"], sort=False)[columns].mean()
        self._table = means.reset_index(level="fit")

    def of(self, *fits: str) -> pd.DataFrame:
        """Return a row per SAE and method of those that trained ``fits``, indexed by the SAE.

        Columns are ``fit``, the effects, and the other metrics with "_before" and "_after".
        """
        return self._table[self._table["fit"].isin(fits)]

    def claim(
        self, name: str, value: float, found: Values, rule: str, *fits: str, holds: bool
    ) -> Claim:
        """Return a claim about the SAEs that were fine-tuned by ``fits``."""
        laws = {key: law for fit in fits for key, law in self._laws.get(fit, {}).items()}
        why = Counter(law.removeprefix("none: ") for law in laws.values() if law != L1)
        without = sum(law == L1 for law in laws.values()) - found.n_saes - found.n_noise
        why |= {NOISE: found.n_noise, "there is no such number": without}
        ends = (found.of_saes.min(), found.of_saes.max()) if len(found.of_saes) else (np.nan,) * 2
        verdict = (SAME if holds else OTHER) if np.isfinite(found.ours) else ABSENT
        return Claim(
            claim=name,
            published=value,
            ours=found.ours,
            lowest=float(ends[0]),
            highest=float(ends[1]),
            n_saes=found.n_saes,
            statistic=found.statistic,
            n_excluded=sum(why.values()),
            excluded="; ".join(f"{reason} ({n})" for reason, n in why.items() if n),
            verdict=verdict,
            rule=rule,
        )


def _numbers(
    parent: Run, tuned: Run, effects: Sequence[str], states: Sequence[str]
) -> dict[str, float | None]:
    """Return the effects of a fine-tuning, and the metrics of both SAEs."""
    found = {
        name: compare(parent, tuned, measure_of(name).name, METRICS[name].formula).value
        for name in effects
    }
    for end, run in ((BEFORE, parent), (AFTER, tuned)):
        found |= {f"{name}_{end}": e.value for name, e in run.estimates(states).items()}
    return found
