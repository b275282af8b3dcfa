"""What the SAEs of a hook are held against: tokens, the facts that hold there, and linear probes.

Read `read`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from saeflow.activations.excerpts import ordinary_rows
from saeflow.activations.reader import Store, open_store
from saeflow.errors import DataError
from saeflow.measures.facts.absorption import Probes, fit_probes
from saeflow.world.facts import Facts
from saeflow.world.truth import read_truth

SPLITS = ("validation", "test")
"""Where latents, thresholds and probes are chosen, and where it is counted how well they do."""


class Tokens(NamedTuple):
    """Ordinary tokens of a split, and their activations at a hook.

    Attributes
    ----------
    x : ndarray (n, d_in) float32
    document : ndarray (n,) int64
    holds : csr_array (n_facts, n) float64
        1 where a fact holds.
    """

    x: np.ndarray
    document: np.ndarray
    holds: sparse.csr_array


class AtHook(NamedTuple):
    """What all SAEs of a hook are held against.

    Attributes
    ----------
    facts : Facts
    choose, count : Tokens
        Those on which choices are made, and those that are counted.
    probes : Probes
        Fitted to the first.
    scores : ndarray (n_facts, n) float64
        Of the probes, on the second.
    """

    facts: Facts
    choose: Tokens
    count: Tokens
    probes: Probes
    scores: np.ndarray

    @classmethod
    def of(cls, facts: Facts, choose: Tokens, count: Tokens) -> AtHook:
        """Fit the probes."""
        probes = fit_probes(choose.x, choose.holds)
        return cls(facts, choose, count, probes, probes.scores(count.x))


def read(
    activations: Path, dataset: Path, settings: Mapping[str, Any], known: dict[Any, Facts]
) -> AtHook:
    """Read what the SAEs of a hook are held against, of records.

    ``settings`` are as of `measure_facts`; ``known`` are the facts of tokens that were read before,
    to which those of these are added. A `DataError` if a split has no tokens, or no fact holds of
    enough of them.
    """
    store = open_store(activations)
    rows = [ordinary_rows(store, split)[: settings["tokens"]] for split in SPLITS]
    for split, own in zip(SPLITS, rows, strict=True):
        if not len(own):
            raise DataError(
                f"the {split} split has no token to measure facts on",
                where=activations,
                expected="tokens to choose latents on (validation), and others to count (test)",
                remedy=f"Give the dataset a larger {split} share under `splits`, raise the"
                f" packing's tokens > {split}, or set measures > facts to null.",
            )
    key = (store.record["tokens"], dataset)
    if key not in known:
        known[key] = _facts(store, dataset, rows, settings)
    facts = known[key]
    parts = (_tokens(store, own, h) for own, h in zip(rows, facts.holds, strict=True))
    return AtHook.of(facts, *parts)


def _facts(
    store: Store, dataset: Path, rows: Sequence[np.ndarray], settings: Mapping[str, Any]
) -> Facts:
    names = ("document", "document_position", "token_id")
    columns = [np.concatenate([_column(store, name, own) for own in rows]) for name in names]
    truth = read_truth(dataset, *columns)
    border = len(rows[0])
    parts = [truth.part(slice(border)), truth.part(slice(border, None))]
    facts = Facts.of(parts, n_words=settings["words"], least=settings["least"])
    if not facts.names:
        raise DataError(
            "no fact holds of enough tokens",
            where=dataset,
            expected=f"{settings['least']} tokens of each split",
            got=f"{len(rows[0]):,} and {len(rows[1]):,} tokens in all",
            remedy="Raise measures > facts > tokens, or the packing's tokens > validation and test;"
            " or lower measures > facts > least.",
        )
    return facts


def _tokens(store: Store, rows: np.ndarray, holds: sparse.csr_array) -> Tokens:
    x = np.asarray(store.activations[rows[0] : rows[-1] + 1], dtype=np.float32)[rows - rows[0]]
    return Tokens(x, _column(store, "document", rows).astype(np.int64), holds)


def _column(store: Store, name: str, rows: np.ndarray) -> np.ndarray:
    return store.rows.read(name, int(rows[0]), int(rows[-1]) + 1)[rows - rows[0]]
