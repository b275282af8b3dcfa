"""Tables of probes under many conditions: choices, tasks, controls; `along` and `wins` have others.

Everything that is compared has the same training sets, and is tested on the same texts. Tables are
made of "dense_probes" and "sparse_probes", with the SAEs themselves, and of `bootstrap` resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import mean_of
from saeflow.probing.draws import NORMAL, SHIFT, SHUFFLED
from saeflow.studies.classification.averages import EXTENT, PERMUTATIONS
from saeflow.studies.classification.choosing import CONDITION, SPARSE, Fits, fits_of
from saeflow.studies.classification.scoring import AUC, Resamples
from saeflow.studies.classification.settings.compared import (
    PLACE,
    Comparison,
    at_hooks,
    comparisons,
)
from saeflow.tables.builders import columns, with_ends
from saeflow.tables.runs import Run

BEST, BEST_SPARSE = "best baseline", "best SAE probe"
ALL_LATENTS = "all latents"


def choices(runs: Sequence[Run], *, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Return what adding the probes of codes to the choice gives, a row per SAE and condition.

    Returns
    -------
    DataFrame
        `PLACE`, setting and level; means over tasks: ``auc_baselines`` and ``auc_added`` of what is
        chosen without and with the probes of codes, ``gain``, their difference, each with its
        interval; ``picked``, the share of training sets for which one of codes is chosen; shares of
        tasks that are ``better`` and ``worse`` off; `EXTENT`; and ``shuffled``, the mean AUC of all
        of these probes where training labels were permuted.
    """
    resamples = Resamples(bootstrap, seed)
    rows = [
        {
            **one.place, **dict(zip(CONDITION, key, strict=True)), **_choice(*both, resamples),
            SHUFFLED: chance,
        }
        for one in comparisons(runs)
        for chance in [one.shuffled()]
        for key, *both in conditions(one.baselines.best(), (one.baselines | one.sparse).best())
        if key[0] != SHUFFLED
    ]  # fmt: skip
    ends = with_ends(("auc_baselines", "auc_added", "gain"))
    shares = ["picked", "better", "worse"]
    return pd.DataFrame(rows, columns=[*PLACE, *CONDITION, *ends, *shares, *EXTENT, SHUFFLED])


def conditions(*fits: Fits) -> Iterator[tuple[Any, ...]]:
    """Yield each condition that all have, with their fits under it."""
    groups = [{str(key): (key, own) for key, own in one.by(*CONDITION).items()} for one in fits]
    for name, (key, _) in groups[0].items():  # by their names: no NaN is equal to another
        if all(name in other for other in groups):
            yield (key, *(other[name][1] for other in groups))


def _choice(baselines: Fits, added: Fits, resamples: Resamples) -> dict[str, Any]:
    without, with_ = baselines.by_task(resamples), added.by_task(resamples)
    gains = with_.minus(without)
    gain = gains.average()
    picked = (added.table["source"] > 0).groupby(added.table["task"]).mean().mean()
    return {
        **without.average().columns("auc_baselines"),
        **with_.average().columns("auc_added"),
        **gain.columns("gain"),
        "picked": picked,
        "better": float((gains.values > 0).mean()),
        "worse": float((gains.values < 0).mean()),
        **gain.extent(),
    }


def tasks(runs: Sequence[Run], *, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Return the same task by task, under "normal" and "shift", with intervals over texts.

    Returns
    -------
    DataFrame
        `PLACE`, setting, task and dataset; ``auc_baselines``, ``auc_sparse`` and ``auc_added`` of
        the probes that are chosen among those of states, of codes and of both; ``gain``, as of
        `choices`; ``method_baselines`` and ``method_sparse``, that of the first training set;
        ``picked``; ``n_train`` and ``n_test``; ``shuffled``. Under a shift also ``own_baselines``
        and ``own_sparse``, the AUC of the same kinds of probes on the task's own test texts.
    """
    resamples = Resamples(bootstrap, seed)
    rows = []
    for one in comparisons(runs):
        chance = _shuffled_by_task(one)
        for setting in (NORMAL, SHIFT):
            both = [fits.where(setting=setting) for fits in (one.baselines, one.sparse)]
            if not all(len(fits.table) for fits in both):
                continue
            found = _of_tasks(*(fits.best() for fits in (*both, both[0] | both[1])), resamples)
            own = {"own_baselines": np.nan, "own_sparse": np.nan}
            if setting == SHIFT:
                for name, fits, shifted in zip(own, (one.baselines, one.sparse), both, strict=True):
                    there = fits.where(setting=NORMAL).of_kinds(shifted).best().by_task(resamples)
                    own[name] = found["task"].map(pd.Series(there.values, there.tasks))
            place = {**one.place, "setting": setting, "shuffled": found["task"].map(chance)}
            rows.append(found.assign(**place, **own))
    wanted = [*PLACE, "setting", "task", "dataset", *_OF_TASKS, "shuffled"]
    return pd.concat(rows, ignore_index=True)[wanted] if rows else pd.DataFrame(columns=wanted)


_OF_TASKS = (
    *with_ends(("auc_baselines", "auc_sparse", "auc_added", "gain")),
    "own_baselines", "own_sparse", "method_baselines", "method_sparse", "picked", "n_train",
    "n_test",
)  # fmt: skip


def _of_tasks(baselines: Fits, sparse: Fits, added: Fits, resamples: Resamples) -> pd.DataFrame:
    without, codes, with_ = (fits.by_task(resamples) for fits in (baselines, sparse, added))
    named = {"auc_baselines": without, "auc_sparse": codes, "auc_added": with_}
    named["gain"] = with_.minus(without)
    parts = [one.estimates(name) for name, one in named.items()]
    first = {
        name: fits.table.sort_values("seed").drop_duplicates("task").set_index("task")
        for name, fits in (("baselines", baselines), ("sparse", sparse))
    }
    facts = pd.DataFrame(
        {
            "dataset": first["baselines"]["dataset"],
            "method_baselines": first["baselines"]["method"],
            "method_sparse": list(map(probe_name, first["sparse"]["method"], first["sparse"]["k"])),
            "picked": (added.table["source"] > 0).groupby(added.table["task"]).mean(),
            "n_train": first["baselines"]["n_train"],
            "n_test": first["baselines"]["n_test"],
        }
    )
    return pd.concat([facts, *parts], axis=1, join="inner").rename_axis("task").reset_index()


def _shuffled_by_task(one: Comparison) -> pd.Series:
    tables = [fits.where(setting=SHUFFLED).table for fits in (one.baselines, one.sparse)]
    return pd.concat(tables).groupby("task")[AUC].mean()


def probe_name(method: str, k: int, read: str = "codes") -> str:
    """Return what a probe is called by what it reads: an SAE's latents, so many or all, or else."""
    if read == "codes" and method in SPARSE:
        return f"k = {k}" if method == "k_sparse" else ALL_LATENTS
    return method.replace("_", " ") if read == "states" else f"{method}, {read}".replace("_", " ")


def control(runs: Sequence[Run], *, bootstrap: int = 0, seed: int = 0) -> pd.DataFrame:
    """Return the AUC of probes that were trained on permuted labels, a row per kind of probe.

    Returns
    -------
    DataFrame
        `PLACE` (no ``sae`` for probes of states), ``input`` and ``probe``; ``auc`` on the test
        texts, the mean over tasks and permutations, with its interval over these; ``n_fits`` and
        `EXTENT`.
    """
    rows = []
    for dense, saes in at_hooks(runs):
        measured = [(dense, "dense_probes"), *((run, "sparse_probes") for run in saes)]
        for run, measure in measured:
            own = fits_of(run, measure).where(setting=SHUFFLED)
            place = {"labelled": run.key.eval_dataset, **run.key.columns()}
            place["baseline"] = run.baseline if run.key.sae else ""
            kinds = own.by("pooling", "input", "method", "asked")
            for (pooling, read, method, k), fits in kinds.items():
                probe = {"pooling": pooling, "input": read, "probe": probe_name(method, k, read)}
                rows.append({**place, **probe, **_of_permutations(fits.table, bootstrap, seed)})
    wanted = [*PLACE, "input", "probe", *with_ends([AUC]), "n_fits", *EXTENT]
    return pd.DataFrame(rows, columns=wanted)


def _of_permutations(fits: pd.DataFrame, bootstrap: int, seed: int) -> dict[str, Any]:
    """Return the mean AUC of fits to permuted labels.

    Its interval resamples fits: one permutation is far from another where the states tell the true
    labels well, which resampled texts do not know.
    """
    known = fits[fits[AUC].notna()]
    extent = {"n_fits": len(known), "resampled": PERMUTATIONS}
    extent |= {f"n_{name}s": known[name].nunique() for name in ("task", "dataset")}
    return {**columns({AUC: mean_of(known[AUC].to_numpy(float), bootstrap, seed)}), **extent}
