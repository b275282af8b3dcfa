"""Tables of edits: who still finds a concept and what that costs, and what steering does.

Edits that need no SAE stand beside those of each SAE of their hook, and are formed once. Runs are
of the measure ``erasure``, metrics of texts that the model reads, which are resampled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from saeflow.metrics.erasure import REMOVAL, STEERING
from saeflow.studies.classification.removal.edited import AUCS, Edited, Forming
from saeflow.tables.builders import KEY, with_ends
from saeflow.tables.runs import Run

LABELLED = "labelled"
_OF_EDIT = ("task", "way", "n_features")
_KEY = (*KEY, LABELLED, *_OF_EDIT)
_EXTENT = ("n_texts", "n_text_tokens")


def removal(
    runs: Sequence[Run], *, metrics: Sequence[str], bootstrap: int, seed: int
) -> pd.DataFrame:
    """Return what readers find of concepts after a removal, and what it costs.

    Returns
    -------
    DataFrame
        A row per SAE, labelled entry, ``task`` whose concept is removed, ``way``, ``n_features``
        (0 for what needs no SAE), and task ``of`` whose concept is looked for: ``auc`` of a reader
        fitted to edited states, ``old_auc`` of the one fitted before, ``clean_auc`` without an
        edit, and ``auc_lost``, that minus ``auc``, on ``n_test`` test examples; and the metrics, on
        ``n_texts`` texts with ``n_text_tokens`` tokens.
    """
    rows = []
    for run, edited in _measured(runs, metrics, bootstrap, seed):
        for edit in edited.of_kind(REMOVAL):
            done = edited.done(edit)
            for of in edited.read:
                rows.append({**_key(run, edit), "of": of, **edited.found(edit, of), **done})
    last = [*with_ends([*AUCS, *metrics]), "n_test", *_EXTENT]
    return pd.DataFrame(rows, columns=[*_KEY, "of", *last])


def steering(
    runs: Sequence[Run], *, metrics: Sequence[str], bootstrap: int, seed: int
) -> pd.DataFrame:
    """Return what steering does to the texts that the model reads.

    Returns
    -------
    DataFrame
        A row per SAE, labelled entry, ``task``, ``way`` and ``strength``, which is in units of
        ``distance``, that between the means of the classes; and the metrics, which are empty where
        nothing is known: ``edit_logit_difference`` of tasks without words.
    """
    rows = []
    for run, edited in _measured(runs, metrics, bootstrap, seed):
        for edit in edited.of_kind(STEERING):
            size = {"strength": edit.strength, "distance": edit.distance}
            rows.append({**_key(run, edit), **size, **edited.done(edit)})
    last = [*with_ends(metrics), *_EXTENT]
    return pd.DataFrame(rows, columns=[*_KEY, "strength", "distance", *last])


def _measured(
    runs: Sequence[Run], metrics: Sequence[str], bootstrap: int, seed: int
) -> Iterator[tuple[Run, Edited]]:
    forming: dict[tuple, Forming] = {}
    for run in runs:
        place = (run.key.model, run.key.hook, run.key.on)
        own = forming.setdefault(place, Forming(metrics, bootstrap, seed))
        yield run, Edited(run, own)


def _key(run: Run, edit: Any) -> dict[str, Any]:
    own = {name: getattr(edit, name) for name in _OF_EDIT}
    return {**run.key.columns(), LABELLED: run.key.eval_dataset, **own}
