"""How often the probes of an SAE's codes win against those of states, by the number of latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from saeflow.probing.draws import NORMAL, SHUFFLED
from saeflow.studies.classification.averages import ByTask
from saeflow.studies.classification.choosing import Fits
from saeflow.studies.classification.scoring import Resamples
from saeflow.studies.classification.settings.compared import PLACE, comparisons
from saeflow.studies.classification.settings.tables import (
    BEST,
    BEST_SPARSE,
    EXTENT,
    probe_name,
)
from saeflow.tables.runs import Run

LOGISTIC = "logistic"
"""Logistic regression on all of the states: the opponent beside the best baseline."""
EXAMPLES = "examples.parquet"
OPPONENTS = (LOGISTIC, BEST)


def wins(runs: Sequence[Run], *, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Return shares of tasks won under the setting "normal", a row per SAE, probe and opponent.

    Parameters
    ----------
    runs
        Of "dense_probes" and "sparse_probes", with the SAEs themselves.
    bootstrap, seed
        Number of resamples, and their seed.

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
        facts = {"architecture": one.sae.architecture, "d_sae": one.sae.sae["d_sae"]}
        facts["l0"] = _l0(one.sae)
        states = one.baselines.where(setting=NORMAL)
        opponents = {LOGISTIC: states.where(method=LOGISTIC), BEST: states.best()}
        opponents = {name: fits.by_task(resamples) for name, fits in opponents.items()}
        for name, k, fits in _probes(one.sparse.where(setting=NORMAL)):
            own, chance = fits.by_task(resamples), one.shuffled(_alike(one.sparse, name))
            for opponent, other in opponents.items():
                found = {**_against(own, other), SHUFFLED: chance}
                which = {"probe": name, "k": k, "opponent": opponent}
                rows.append({**one.place, **facts, **which, **found})
    ends = [f"{name}{end}" for name in ("won", "gain") for end in ("", "_low", "_high")]
    first = [*PLACE, "architecture", "d_sae", "l0", "probe", "k", "opponent"]
    return pd.DataFrame(rows, columns=[*first, *ends, *EXTENT, SHUFFLED])


def _l0(sae: Run) -> float:
    """Return how many latents are active on a probed token, on the average."""
    return float(sae.records["sparse_probes"].table(EXAMPLES)["active"].mean())


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


def _against(own: ByTask, other: ByTask) -> dict[str, float | None]:
    won = own.wins(other).average()
    gain = own.minus(other).average()
    return {**won.columns("won"), **gain.columns("gain"), **gain.extent()}
