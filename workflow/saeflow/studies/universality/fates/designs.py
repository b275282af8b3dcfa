"""SAEs that differ in seed, order or part of the data, and what becomes of features in others.

Read `Design`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saeflow.studies.universality.comparisons import FOUND
from saeflow.studies.universality.fates.kin import Group, groups
from saeflow.studies.universality.fates.variance import Differing
from saeflow.studies.universality.reading import Pairs, compared
from saeflow.tables.runs import Key, Run

FACTORS = ("seed", "order", "part")
"""What the SAEs of a design differ in, in no other respect."""

QUANTITIES = {"correlation": "correlation_tokens", "cosine": "cosine_gaussian"}
"""Similarities, and the null of each."""

SIMILARITY, IS_FOUND = "similarity", "found"
OUTCOMES = (SIMILARITY, IS_FOUND)
"""What becomes of a feature: its best similarity, and whether that is enough."""


class Reference(NamedTuple):
    """An SAE of a design, and what becomes of its features in the others.

    Attributes
    ----------
    key : Key
        Which.
    cells : tuple of frozenset
        In what each of the others differs from it.
    tables : tuple of DataFrame
        Of each of the others, the matches of this one's live latents.
    """

    key: Key
    cells: tuple[Differing, ...]
    tables: tuple[pd.DataFrame, ...]

    @classmethod
    def of(cls, group: Group, key: Key) -> Reference:
        """Take what a group has of one of its SAEs."""
        others = [sae.key for sae in group.saes if (key, sae.key) in group.pairs]
        pairs = [group.pairs[key, other] for other in others]
        return cls(
            key,
            tuple(frozenset(pair.differ) for pair in pairs),
            tuple(pair.of(key) for pair in pairs),
        )

    @property
    def n(self) -> int:
        """How many features it has."""
        return len(self.tables[0])

    def fates(self, column: str, outcome: str) -> np.ndarray:
        """Return what became of each feature in each of the others, (n_features, n_cells)."""
        values = np.stack([table[column].to_numpy(float) for table in self.tables], axis=1)
        return values if outcome == SIMILARITY else (values > FOUND).astype(float)


class Design(NamedTuple):
    """SAEs that differ in several of `FACTORS`, and in nothing else."""

    group: Group

    @classmethod
    def all(cls, runs: Sequence[Run], pairs: Pairs) -> Iterator[Design]:
        """Yield the designs among what a study compares."""
        found = [
            pair
            for pair in compared(runs, pairs)
            if not pair.is_null and pair.differ and {*pair.differ} <= {*FACTORS}
        ]
        for group in groups(found, apart=True):
            if len({name for pair in group.pairs.values() for name in pair.differ}) > 1:
                yield cls(group)

    @property
    def factors(self) -> tuple[str, ...]:
        """What varies, in the order of `FACTORS`."""
        varied = {name for pair in self.group.pairs.values() for name in pair.differ}
        return tuple(name for name in FACTORS if name in varied)

    @property
    def references(self) -> list[Reference]:
        """Each of its SAEs."""
        return [Reference.of(self.group, sae.key) for sae in self.group.saes]

    def columns(self) -> dict[str, Any]:
        """Return what tables say of it."""
        own = self.group.name.columns()
        place = {name: own[name] for name in ("model", "hook", "site", "block", "sae")}
        return {"comparison": self.group.comparison, **place, "n_saes": len(self.group.saes)}

    def in_words(self, differing: Differing) -> str:
        """Return in what SAEs differ, as "seed, order"."""
        return ", ".join(name for name in self.factors if name in differing)
