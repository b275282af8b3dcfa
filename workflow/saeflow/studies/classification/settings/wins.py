"""How often the probes of an SAE's codes win against those of states, by the number of latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from saeflow.probing.draws import NORMAL, SHUFFLED
from saeflow.studies.classification.averages import EXTENT
from saeflow.studies.classification.choosing import Fits
from saeflow.studies.classification.scoring import Resamples
from saeflow.studies.classification.settings.compared import PLACE, comparisons
from saeflow.studies.classification.settings.tables import BEST, BEST_SPARSE, probe_name
from saeflow.tables.builders import with_ends
from saeflow.tables.runs import Run

LOGISTIC = "logistic"
"""Logistic regression on all of the states: the opponent beside the best baseline."""
EXAMPLES = "examples.parquet"
OPPONENTS = (LOGISTIC, BEST)


def wins(runs: Sequence[Run], *, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Return shares of tasks won under the setting "normal", a row per SAE, probe and opponent.

    Returns
    -------
    DataFrame
        `PLACE`, ``architecture``, ``d_sae``, ``l0`` on the probed tokens; ``probe``, its ``k`` (0
        where it reads all latents) and the ``opponent``, of `OPPONENTS`; ``won``, the share of
        tasks where the probe's AUC is above the opponent's, equal ones half, and ``gain``, the mean
        of its AUC minus the opponent's, with their intervals; `EXTENT` and ``shuffled``.
    """
    resamples = Resamples(bootstrap, seed)
    rows = []
    for one in comparisons(runs, together=False):
        on = one.sae.records["sparse_probes"].table(EXAMPLES)["active"]
        facts = {"architecture": one.sae.architecture, "d_sae": one.sae.sae["d_sae"]}
        facts["l0"] = float(on.mean())
        states = one.baselines.where(setting=NORMAL)
        opponents = {LOGISTIC: states.where(method=LOGISTIC), BEST: states.best()}
        opponents = {name: fits.by_task(resamples) for name, fits in opponents.items()}
        for name, k, fits in _probes(one.sparse.where(setting=NORMAL)):
            own, chance = fits.by_task(resamples), one.shuffled(_alike(one.sparse, name))
            for opponent, other in opponents.items():
                won, gain = own.wins(other).average(), own.minus(other).average()
                found = {**won.columns("won"), **gain.columns("gain"), **gain.extent()}
                which = {"probe": name, "k": k, "opponent": opponent, SHUFFLED: chance}
                rows.append({**one.place, **facts, **which, **found})
    first = [*PLACE, "architecture", "d_sae", "l0", "probe", "k", "opponent"]
    wanted = [*first, *with_ends(("won", "gain")), *EXTENT, SHUFFLED]
    return pd.DataFrame(rows, columns=wanted)


def _probes(sparse: Fits) -> Iterator[tuple[str, int, Fits]]:
    """Yield name, number of latents and fits of each kind of probe, and the best of all."""
    for (method, k), fits in sparse.by("method", "asked").items():
        yield probe_name(method, k), int(k), fits
    if len(sparse.table):
        yield BEST_SPARSE, 0, sparse.best()


def _alike(sparse: Fits, name: str) -> Fits:
    """Return the fits of a kind of probe in all settings."""
    kinds = {probe_name(*kind): fits for kind, fits in sparse.by("method", "asked").items()}
    return kinds.get(name, sparse)
