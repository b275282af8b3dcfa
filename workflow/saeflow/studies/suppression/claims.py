"""What the comparison with the post is made of: its SAEs, and claims about them.

The post is about ReLU SAEs with an L1 penalty, in whatever units; SAEs of another loss are counted,
and stand in no number. Read `Population`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import pandas as pd

from saeflow.metrics.language import SMALL_GAP_NATS
from saeflow.metrics.registry import METRICS, measure_of
from saeflow.studies.claims import Claim, Values
from saeflow.studies.suppression.laws import L1, law_of
from saeflow.tables.pairs import compare, pairs
from saeflow.tables.runs import Key, Run

NOISE = f"it adds less than {SMALL_GAP_NATS:g} nats"
"""Why an SAE has no share of what it adds."""
BEFORE, AFTER = "before", "after"


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
        return found.claim(
            name,
            value,
            rule,
            holds=holds,
            n_excluded=sum(why.values()),
            excluded="; ".join(f"{reason} ({n})" for reason, n in why.items() if n),
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
