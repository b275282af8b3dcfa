"""What is compared: the probes of a hook's states with those of its SAEs, one by one or all.

Read `comparisons`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd

from saeflow.probing.draws import SHUFFLED
from saeflow.studies.classification.choosing import BASELINES, SPARSE, Fits
from saeflow.studies.classification.scoring import AUC, scored
from saeflow.tables.builders import KEY
from saeflow.tables.runs import ORIGINAL, Key, Run

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

    @property
    def added(self) -> Fits:
        """All of them: where the probes of codes are added to the choice."""
        return self.baselines | self.sparse

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
        states = Fits.of(scored(dense.records["dense_probes"])).where(
            method=BASELINES, input="states"
        )
        codes = {
            run.key: Fits.of(scored(run.records["sparse_probes"])).where(
                method=SPARSE, input="codes"
            )
            for run in saes
        }
        for (pooling,), baselines in states.by("pooling").items():
            own = [(run, codes[run.key].where(pooling=pooling)) for run in saes]
            own = [(run, fits) for run, fits in own if len(fits.table)]
            for run, fits in own:
                yield _comparison(run.key, run.baseline, baselines, fits, run)
            if together:
                yield from _together(baselines, own)


def _together(baselines: Fits, own: Sequence[tuple[Run, Fits]]) -> Iterator[Comparison]:
    """Yield all SAEs that learned something, of each seed, where there are several."""
    learned = [(run, fits) for run, fits in own if not run.baseline and run.key.method == ORIGINAL]
    for seed in sorted({run.key.seed for run, _ in learned}):
        of_seed = [(run, fits) for run, fits in learned if run.key.seed == seed]
        if len(of_seed) > 1:
            (first, fits), *others = of_seed
            for _, more in others:
                fits |= more
            key = Key(**{**first.key.__dict__, "sae": ALL, "dataset": "", "packing": ""})
            yield _comparison(key, "", baselines, fits, None)


def _comparison(
    key: Key, baseline: str, baselines: Fits, sparse: Fits, sae: Run | None
) -> Comparison:
    """Return a comparison over the tasks that both have."""
    both = tuple(set(baselines.table["task"]) & set(sparse.table["task"]))
    baselines, sparse = baselines.where(task=both), sparse.where(task=both)
    pooling = baselines.table["pooling"].iloc[0] if len(both) else ""
    place = {"labelled": key.eval_dataset, **key.columns(), "baseline": baseline}
    return Comparison({**place, "pooling": pooling}, baselines, sparse, sae)


def at_hooks(runs: Sequence[Run]) -> Iterator[tuple[Run, list[Run]]]:
    """Yield each hook's run of probes of states, on each labelled texts, and those of its SAEs."""
    for run in runs:
        if "dense_probes" in run.records:
            where = (run.key.eval_dataset, run.key.model, run.key.hook)
            yield (
                run,
                [
                    other
                    for other in runs
                    if "sparse_probes" in other.records
                    and (other.key.eval_dataset, other.key.model, other.key.hook) == where
                ],
            )
