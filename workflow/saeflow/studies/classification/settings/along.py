"""The table of AUC along what training sets have: sizes, shares of positives, turned labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from saeflow.probing.draws import NOISE, NORMAL, SHIFT, SHUFFLED
from saeflow.studies.classification.averages import EXTENT, Average, ByTask
from saeflow.studies.classification.choosing import CONDITION, Fits
from saeflow.studies.classification.scoring import AUC, Resamples
from saeflow.studies.classification.settings.compared import PLACE, comparisons
from saeflow.studies.classification.settings.tables import BEST, BEST_SPARSE, conditions
from saeflow.tables.builders import with_ends
from saeflow.tables.runs import Run

FEW_LATENTS, MORE_LATENTS = 16, 128
"""Numbers of latents of which curves are drawn, those of the paper."""
_ENOUGH = 0.5  # of the tasks, that have all levels of a curve


def curves(runs: Sequence[Run], *, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Return mean AUC by condition over tasks that have all of a setting's, a row per series.

    Where fewer than half of the tasks have all levels, the last ones are left out until as many
    have all that remain: else a curve would say which tasks have more examples. The level of noise
    0 is the setting "normal", with the kinds of probes that noise has.

    Returns
    -------
    DataFrame
        `PLACE`, setting, level, ``series`` (`BEST`, `BEST_SPARSE`, "k = 16", "k = 128"), ``auc``
        with its interval, `EXTENT`, ``n_tasks_of_all``, and ``shuffled``.
    """
    resamples = Resamples(bootstrap, seed)
    rows = []
    for one in comparisons(runs):
        series = {BEST: one.baselines, BEST_SPARSE: one.sparse}
        for k in (FEW_LATENTS, MORE_LATENTS):
            series[f"k = {k}"] = one.sparse.where(method="k_sparse", k=k)
        series = {name: fits for name, fits in series.items() if len(fits.table)}
        chance = {name: one.shuffled(fits) for name, fits in series.items()}
        best = [fits.best() for fits in series.values()]
        by_setting: dict[str, list[tuple[float, list[ByTask]]]] = {}
        for (setting, level), *fits in conditions(*best):
            if setting in (NORMAL, SHIFT, SHUFFLED):
                continue
            by_setting.setdefault(setting, []).append((level, [f.by_task(resamples) for f in fits]))
        if NOISE in by_setting:
            by_setting[NOISE].append((0.0, [_unturned(f, resamples) for f in series.values()]))
        for setting, levels in by_setting.items():
            if len(levels) > 1:
                for level, name, average, n in _along(levels, list(series)):
                    found = {**average.columns(AUC), **average.extent(), "n_tasks_of_all": n}
                    place = {**one.place, "setting": setting, "level": level, "series": name}
                    rows.append({**place, **found, SHUFFLED: chance[name]})
    last = [*with_ends([AUC]), *EXTENT, "n_tasks_of_all", SHUFFLED]
    wanted = [*PLACE, *CONDITION, "series", *last]
    return pd.DataFrame(rows, columns=wanted)


def _unturned(fits: Fits, resamples: Resamples) -> ByTask:
    """Return the AUC where no label is turned, of the best of the probes that noise has too."""
    noisy = fits.where(setting=NOISE)
    return fits.where(setting=NORMAL).of_kinds(noisy).best().by_task(resamples)


def _along(
    levels: Sequence[tuple[float, list[ByTask]]], names: Sequence[str]
) -> Iterator[tuple[float, str, Average, int]]:
    """Yield level, series, its mean over the tasks that all have, and the number of all tasks."""
    levels = sorted(levels, key=lambda one: one[0])
    own = [set.intersection(*(set(by.tasks) for by in found)) for _, found in levels]
    n = len(set.union(*own))
    shown = len(levels)
    while shown > 2 and len(set.intersection(*own[:shown])) < _ENOUGH * n:
        shown -= 1
    common = np.array(sorted(set.intersection(*own[:shown])), object)
    for level, found in levels[:shown]:
        for name, by in zip(names, found, strict=True):
            yield level, name, by.of(common).average(), n
