"""What is compared: the probes of a hook's states with those of its SAEs, one by one or all.

Read `comparisons`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from saeflow.probing.draws import SHUFFLED
from saeflow.studies.classification.choosing import BASELINES, SPARSE, Fits, fits_of, place_of
from saeflow.studies.classification.scoring import AUC
from saeflow.tables.builders import KEY
from saeflow.tables.runs import ORIGINAL, Run

ALL = "all SAEs"
"""In the place of a recipe: the probes of all SAEs of a hook that learned something."""
PLACE = ("labelled", *KEY, "baseline", "pooling")
"""The columns that identify a comparison."""


class Comparison(NamedTuple):
    """Probes of the states of a hook, and of the codes of one SAE or of several.

    Attributes
    ----------
    place : dict
        The columns `PLACE`.
    baselines : Fits
        Of the states, by the methods of `BASELINES`.
    sparse : Fits
        Of the codes, by the methods of `SPARSE`, of the tasks that both have.
    sae : Run or None
        The SAE; None for several.
    """

    place: dict[str, Any]
    baselines: Fits
    sparse: Fits
    sae: Run | None

    def shuffled(self, *fits: Fits) -> float:
        """Return the mean AUC of fits to shuffled labels, over tasks; NaN for none."""
        tables = [
            one.where(setting=SHUFFLED).table for one in fits or (self.baselines, self.sparse)
        ]
        return float(pd.concat(tables).groupby("task")[AUC].mean().mean())


def comparisons(runs: Sequence[Run], *, together: bool = True) -> Iterator[Comparison]:
    """Yield each SAE beside its hook's probes, and then all SAEs of the hook, seed by seed.

    Parameters
    ----------
    runs
        Of the measures "dense_probes" and "sparse_probes", with the SAEs themselves.
    together
        Whether all SAEs of a hook are wanted too, where there are several.
    """
    for dense, saes in at_hooks(runs):
        states = fits_of(dense, "dense_probes").where(method=BASELINES, input="states")
        codes = [fits_of(run, "sparse_probes").where(method=SPARSE, input="codes") for run in saes]
        for (pooling,), baselines in states.by("pooling").items():
            both = zip(saes, codes, strict=True)
            own = [(run, fits.where(pooling=pooling)) for run, fits in both]
            groups = [[one] for one in own]
            if together:
                learned = [o for o in own if not o[0].baseline and o[0].key.method == ORIGINAL]
                seeds = sorted({run.key.seed for run, _ in learned})
                of_seeds = ([o for o in learned if o[0].key.seed == seed] for seed in seeds)
                groups += [group for group in of_seeds if len(group) > 1]
            yield from filter(None, (_comparison(pooling, baselines, g) for g in groups))


def _comparison(
    pooling: str, baselines: Fits, group: Sequence[tuple[Run, Fits]]
) -> Comparison | None:
    """Return a comparison over the tasks that both have; None where there are none."""
    (first, sparse), *others = group
    for _, fits in others:
        sparse |= fits
    both = tuple(set(baselines.table["task"]) & set(sparse.table["task"]))
    if not both:
        return None
    place = {"labelled": first.key.eval_dataset, **first.key.columns()}
    place |= {"sae": ALL} if others else {}
    place |= {"baseline": "" if others else first.baseline, "pooling": pooling}
    own = (fits.where(task=both) for fits in (baselines, sparse))
    return Comparison(place, *own, None if others else first)


def at_hooks(runs: Sequence[Run]) -> Iterator[tuple[Run, list[Run]]]:
    """Yield each hook's run of probes of states, on each labelled texts, and those of its SAEs."""
    saes = [run for run in runs if "sparse_probes" in run.records]
    for run in runs:
        if "dense_probes" in run.records:
            yield run, [sae for sae in saes if place_of(sae) == place_of(run)]
