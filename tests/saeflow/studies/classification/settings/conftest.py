"""Probes of one hook whose AUCs are chosen, so that every number of a table is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

import made_up_probes
from saeflow.tables.runs import Key, Run

_ON = {"hook": "resid_post.0", "eval_dataset": "texts", "eval_packing": "labelled"}


@pytest.fixture
def one_hook() -> Callable[..., tuple[Run, ...]]:
    """Return what makes the runs of a hook: fits of states, and of each SAE's codes by name."""

    def make(states: Iterable[dict], **codes: Iterable[dict]) -> tuple[Run, ...]:
        found = [Run(Key("small", **_ON), {"dense_probes": made_up_probes.record(states)})]
        for name, fits in codes.items():
            fits = [{"input": "codes", "method": "k_sparse", "k": 16, **fit} for fit in fits]
            records = {"sparse_probes": made_up_probes.record(fits)}
            records["sae"] = made_up_probes.sae_record(name)
            found.append(Run(Key("small", "d", "p", sae=name, **_ON), records))
        return tuple(found)

    return make
