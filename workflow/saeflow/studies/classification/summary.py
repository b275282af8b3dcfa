"""What the study found, as paragraphs of numbers from its tables. Read `summary`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from saeflow.figures.places import learned
from saeflow.studies.classification.facts.summary import known
from saeflow.studies.classification.removal.summary import removed, steered
from saeflow.studies.saying import Say, estimate, name_of, paragraphs, span, verdicts

Tables = Mapping[str, pd.DataFrame]


def summary(tables: Tables) -> str:
    """Return what was found: codes against states, choices, removal, known facts.

    It says nothing of tables that are missing.
    """
    parts: dict[str, Say] = {
        "probes": _codes,
        "probe_tasks": _tasks,
        "probe_choices": _choices,
        "probe_control": _control,
        "removal": removed,
        "published": verdicts,
        "published_settings": lambda table: verdicts(table, "the paper on sparse probing"),
    }
    found = list(paragraphs(tables, parts))
    if {"steering", "removal"} <= tables.keys():
        found.append(" ".join(steered(tables["steering"], tables["removal"])))
    return "\n\n".join(filter(None, [*found, " ".join(known(tables))]))


def _normal(table: pd.DataFrame) -> pd.DataFrame:
    return table[(table["setting"] == "normal") & (table["pooling"] == "last")]


def _codes(table: pd.DataFrame) -> Iterator[str]:
    """Yield how well the post's classifier does on states and on codes, and few features do."""
    normal = _normal(table)
    post = normal[normal["probe"] == "published"]
    codes = learned(post[post["input"] == "codes"])
    for labelled, states in post[post["input"] == "states"].groupby("labelled", sort=False):
        own = codes[codes["labelled"] == labelled]
        if own.empty:
            continue
        n = int((own["accuracy_gap_high"] < 0).sum())
        yield (
            f"On {labelled}, {states['n_tasks'].iloc[0]:.0f} tasks, the post's classifier is right"
            f" on {span(states['accuracy'], '.1%')} of the test texts by states and on"
            f" {span(own['accuracy'], '.1%')} by codes; codes are worse with an interval below zero"
            f" for {n} of {len(own)} SAEs."
        )
        sparse = learned(normal[(normal["probe"] == "k_sparse") & (normal["k"] == 1)])
        sparse = sparse[sparse["labelled"] == labelled]
        if len(sparse):
            best = sparse.loc[sparse["auc"].idxmax()]
            yield f"One feature alone gets an AUC of {estimate(best, 'auc')} ({name_of(best)})."


def _tasks(table: pd.DataFrame) -> Iterator[str]:
    """Yield the tasks that probes of codes do worst and best beside those of states."""
    rows = learned(_normal(table))
    of_tasks = rows.groupby("task")[["auc_sparse", "auc_baselines"]].mean()
    if len(of_tasks) < 2:
        return
    gap = of_tasks["auc_sparse"] - of_tasks["auc_baselines"]
    said = [
        f"{task} ({of_tasks.loc[task, 'auc_sparse']:.3f} against"
        f" {of_tasks.loc[task, 'auc_baselines']:.3f})"
        for task in (gap.idxmin(), gap.idxmax())
    ]
    yield (
        f"Beside the best probes of states, the best of codes are furthest back on {said[0]} and"
        f" least on {said[1]}, mean AUC over SAEs."
    )


def _choices(table: pd.DataFrame) -> Iterator[str]:
    """Yield what probes of codes add to the choice among probes of states."""
    for labelled, rows in learned(_normal(table)).groupby("labelled", sort=False):
        more, less = (rows["gain_low"] > 0).sum(), (rows["gain_high"] < 0).sum()
        yield (
            f"With an SAE's probes to choose from as well, the test AUC of the chosen probe on"
            f" {labelled} changes by {span(rows['gain'], '+.4f')}; its interval is above zero in"
            f" {more} and below in {less} of {len(rows)} cases."
        )


def _control(table: pd.DataFrame) -> Iterator[str]:
    if len(table):
        within = ((table["auc_low"] <= 0.5) & (table["auc_high"] >= 0.5)).mean()
        yield (
            f"Fitted to permuted labels, probes get a mean AUC of {table['auc'].mean():.3f}; the"
            f" interval holds one half in {within:.0%} of {len(table)} cases."
        )
