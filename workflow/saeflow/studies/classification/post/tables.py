"""Tables of probes on states and on codes, of errors at probed tokens, of SAEs of the domain.

Means over the tasks of an entry of labelled texts stand for it; `saeflow.studies.classification.
averages` says what their intervals are over. Read `probes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import form, resample
from saeflow.metrics.registry import METRICS
from saeflow.studies.classification.averages import EXTENT, ByTask
from saeflow.studies.classification.choosing import BASELINES, Fits, fits_of, place_of
from saeflow.studies.classification.scoring import ACCURACY, AUC, Resamples
from saeflow.tables.builders import KEY, columns, with_ends
from saeflow.tables.runs import ORIGINAL, Run

STATES, CODES, CENTRED = "states", "codes", "centred"
PUBLISHED, LOGISTIC, K_SPARSE, BEST = "published", "logistic", "k_sparse", "best"
OF_K = (K_SPARSE, "pca_at_k")
"""Probes that there are of several k, each a row."""
NORMAL, SHUFFLED = "normal", "shuffled"
DENSE, SPARSE, LENSES = "dense_probes", "sparse_probes", "lenses"
EXAMPLES, FEATURES = "examples.parquet", "features.parquet"
OF_SAE = ("architecture", "baseline", "d_sae", "l0")
_WHAT = ("setting", "probe", "input", "pooling", "k")
_VALUES = (ACCURACY, AUC)
_OTHERS = ("pca_active", "pca_on", "random_active", "logit_lens", "tuned_lens")
"""What is made of states by another way than by a probe of them."""
_MEANS = ("n_train", "n_test", "n_features", "converged", "train_accuracy", "train_auc")
PROBES = (
    *KEY, "labelled", *OF_SAE, *_WHAT, *EXTENT, *_MEANS,
    *with_ends((*_VALUES, *(f"{value}_gap" for value in _VALUES))),
)  # fmt: skip

ByTasks = Mapping[str, ByTask]
"""Of each value its numbers by task."""


def probes(runs: Sequence[Run], *, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Return one row per hook or SAE and way to classify by it: means over tasks.

    Returns
    -------
    DataFrame
        `PROBES`. Rows of a hook have no SAE (""). Of each training set drawn as it is (``setting``
        normal), or with its labels permuted (shuffled): accuracy and AUC on the test texts, those
        on the training texts, the mean number of training and test texts and of inputs that vary,
        the share of fits that converged; ``auc_gap`` and ``accuracy_gap``, how much more that is
        than the same probe of the states gets with these tasks and texts. ``probe`` best is that of
        the baselines which validates best for each task.
    """
    resamples = Resamples(bootstrap, seed)
    states = {
        place_of(run): States(fits_of(run, DENSE), resamples)
        for run in runs
        if DENSE in run.records
    }
    found: list[dict[str, Any]] = []
    for run in runs:
        if run.key.method != ORIGINAL:
            continue
        about = {**run.key.columns(), "labelled": run.key.eval_dataset, **_of_sae(run)}
        own = states.get(place_of(run))
        for what, fits, means in _ways(run, own):
            row = {**about, **dict(zip(_WHAT, what, strict=True)), **means}
            by_task = {value: fits.by_task(resamples, value=value) for value in _VALUES}
            found.append(row | _numbers(by_task, own.like(what) if own else None))
    return pd.DataFrame(found, columns=list(PROBES))


class States:
    """The probes of one hook's states, which what is classified by anything else is held against.

    Parameters
    ----------
    fits
        Of the hook.
    resamples
        How texts are resampled.
    """

    def __init__(self, fits: Fits, resamples: Resamples) -> None:
        self._fits, self._resamples = fits, resamples
        self._found: dict[tuple[str, str], ByTasks | None] = {}

    def best(self, setting: str = NORMAL) -> Fits:
        """Return of each task the probe that validates best."""
        own = self._fits.where(setting=setting, input=STATES, pooling="last", method=BASELINES)
        return own.best()

    def like(self, what: Sequence) -> ByTasks | None:
        """Return the numbers of the same probe of the states by task; None for these themselves."""
        setting, probe, given, pooling, _ = what
        if (setting, given) == (NORMAL, STATES) and probe not in _OTHERS:
            return None
        key = (LOGISTIC if probe == K_SPARSE else probe, pooling)
        if key not in self._found:
            self._found[key] = self._like(*key)
        return self._found[key]

    def _like(self, probe: str, pooling: str) -> ByTasks | None:
        own = self._fits.where(setting=NORMAL, input=STATES)
        for method in (probe, PUBLISHED):
            for pool in (pooling, "last"):
                found = own.where(method=method, pooling=pool)
                if len(found.table):
                    return {v: found.by_task(self._resamples, value=v) for v in _VALUES}
        return None


def _ways(run: Run, states: States | None) -> Iterator[tuple[tuple, Fits, dict[str, float]]]:
    """Yield what is classified by (`_WHAT`), the fits to all tasks, and means of their facts."""
    names = ["setting", "method", "input", "pooling"]
    for kind in (DENSE, LENSES, SPARSE):
        if kind not in run.records:
            continue
        fits = fits_of(run, kind).where(setting=(NORMAL, SHUFFLED))
        sparse = fits.where(method=OF_K).by(*names, "k")
        others = set(fits.table["method"]) - set(OF_K)
        dense = fits.where(method=tuple(others)).by(*names)
        for group, by in ((dense, names), (sparse, [*names, "k"])):
            means = _means(fits.table, by)
            for what, own in group.items():
                facts = means[what]
                yield (*what[:4], facts.pop("k", what[-1])), own, facts
        if kind == DENSE and states is not None:
            for setting in (NORMAL, SHUFFLED):
                best = states.best(setting)
                if len(best.table):
                    found = best.table[list(_MEANS)].astype(float).mean().to_dict()
                    yield (setting, BEST, STATES, "last", 0.0), best, found


def _means(table: pd.DataFrame, by: list[str]) -> dict[tuple, dict[str, float]]:
    """Return the means over tasks of what is said of the fits of each way to classify."""
    names = [name for name in (*_MEANS, "k") if name not in by]
    of_tasks = table.astype({"converged": float}).groupby([*by, "task"])[names].mean()
    return of_tasks.groupby(level=by).mean().to_dict("index")


def _numbers(by_task: ByTasks, states: ByTasks | None) -> dict[str, Any]:
    """Return means over tasks, and of their differences from those of states."""
    found: dict[str, Any] = {}
    for value, own in by_task.items():
        average = own.average()
        found |= average.columns(value)
        if value == ACCURACY:
            found |= average.extent()
        if states is not None:
            found |= own.minus(states[value]).average().columns(f"{value}_gap")
    return found


def _of_sae(run: Run) -> dict[str, Any]:
    """Return what is said of an SAE beside its probes."""
    if SPARSE not in run.records:
        return dict.fromkeys(OF_SAE)
    examples = run.records[SPARSE].table(EXAMPLES)
    test = examples[examples["split"] == "test"]
    return {
        "architecture": run.architecture, "baseline": run.baseline, "d_sae": run.sae["d_sae"],
        "l0": float(test["active"].mean()),
    }  # fmt: skip


def probed(
    runs: Sequence[Run], *, metrics: Sequence[str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return what SAEs give back of the probed tokens, a row per SAE and split.

    Returns
    -------
    DataFrame
        The SAE, the labelled texts, ``split`` and its number of texts; metrics over all of them;
        ``features_on`` and ``features_always_on``, how many features are on for any text of a
        dataset and for each, mean over datasets; and that as a share of the width.
    """
    rows = []
    for run in (run for run in runs if SPARSE in run.records and run.key.method == ORIGINAL):
        record = run.records[SPARSE]
        examples, on = record.table(EXAMPLES), record.table(FEATURES)
        for split in ("train", "test"):
            own = examples[examples["split"] == split]
            summed = own.columns.difference(["example", "dataset", "split"])
            sums = {name: own[name].to_numpy(float) for name in summed}
            sums["examples"] = np.ones(len(own))
            constants = {"d_in": float(record.facts["d_in"])}
            totals = constants | {name: column.sum() for name, column in sums.items()}
            drawn = resample(sums, samples=bootstrap, seed=seed) | constants if bootstrap else {}
            found = {name: form(METRICS[name].formula, totals, drawn) for name in metrics}
            counts = on.loc[on["split"] == split, ["on", "always"]].mean()
            rows.append(
                {
                    **run.key.columns(), "labelled": run.key.eval_dataset, **_of_sae(run),
                    "split": split, "n_documents": len(own), **columns(found),
                    "features_on": counts["on"], "features_always_on": counts["always"],
                    "share_on": counts["on"] / run.sae["d_sae"],
                }
            )  # fmt: skip
    last = [*with_ends(metrics), "features_on", "features_always_on", "share_on"]
    wanted = [*KEY, "labelled", *OF_SAE, "split", "n_documents", *last]
    return pd.DataFrame(rows, columns=wanted)


def in_domain(
    runs: Sequence[Run], *, domain: Mapping[str, str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return SAEs trained on text of the domain beside those of the same recipe trained elsewhere.

    Parameters
    ----------
    runs, bootstrap, seed
        Probes of SAEs of both kinds, and how often texts are resampled.
    domain
        ``dataset`` and ``packing`` that those of the domain are trained on.

    Returns
    -------
    DataFrame
        A row per SAE of the domain and way to classify by its codes: AUC and accuracy of both, and
        ``auc_gap`` and ``accuracy_gap``, how much more the one of the domain gets, with the same
        texts and tasks.
    """
    resamples = Resamples(bootstrap, seed)
    place = domain["dataset"], domain["packing"]
    kept = [run for run in runs if SPARSE in run.records and run.key.method == ORIGINAL]
    trained: dict[tuple, dict[tuple[str, str], Run]] = {}
    for run in kept:
        what = (*place_of(run), run.key.sae, run.key.seed)
        trained.setdefault(what, {})[run.key.dataset, run.key.packing] = run
    rows = []
    for by_place in trained.values():
        elsewhere = [run for where, run in by_place.items() if where != place]
        if place not in by_place or not elsewhere:
            continue
        run = by_place[place]
        general = fits_of(elsewhere[0], SPARSE).where(setting=NORMAL, input=CODES)
        about = {**run.key.columns(), "labelled": run.key.eval_dataset, **_of_sae(run)}
        of_domain = fits_of(run, SPARSE).where(setting=NORMAL, input=CODES)
        for (method, pooling, k), own in of_domain.by("method", "pooling", "k").items():
            other = general.where(method=method, pooling=pooling, k=k)
            if not len(other.table):
                continue
            row = {**about, "probe": method, "pooling": pooling, "k": k}
            row["l0_elsewhere"] = _of_sae(elsewhere[0])["l0"]
            rows.append(row | _beside(own, other, resamples))
    names = with_ends(f"{v}{part}" for v in _VALUES for part in ("", "_elsewhere", "_gap"))
    wanted = [*KEY, "labelled", *OF_SAE, "l0_elsewhere", "probe", "pooling", "k", *EXTENT, *names]
    return pd.DataFrame(rows, columns=wanted)


def _beside(own: Fits, other: Fits, resamples: Resamples) -> dict[str, Any]:
    """Return the numbers of two sets of fits, and how much more the first gets."""
    found: dict[str, Any] = {}
    for value in _VALUES:
        one, two = (fits.by_task(resamples, value=value) for fits in (own, other))
        parts: dict[str, ByTask] = {"": one, "_elsewhere": two, "_gap": one.minus(two)}
        for part, by_task in parts.items():
            average = by_task.average()
            found |= average.columns(f"{value}{part}") | average.extent()
    return found
