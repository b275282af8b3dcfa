"""What was measured of pairs, beside what is known of both SAEs: the one way for all tables.

Read `compared`; of the SAEs one by one `saes_of`. Functions that build tables all take ``runs``, of
the kinds that their entry in the spec reads; `Pairs`; and, where there are intervals, ``bootstrap``
and ``seed``, the number of resamples, of what their table says, and the seed of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saeflow.hooks import Hook
from saeflow.metrics.facts import COLUMNS as SUMS
from saeflow.metrics.facts import COUNTS, FACTS, fact_f1
from saeflow.studies.universality.comparisons import NULLS
from saeflow.tables.builders import EXTENT
from saeflow.tables.runs import ORIGINAL, SAE, Key, Record, Run

FIRST, SECOND = "first", "second"
SIDES = (FIRST, SECOND)
SIMILARITY, CODES = "similarity", "codes"
OF_SAE = (
    "model", "step", "dataset", "packing", "hook", "site", "block", "sae", "seed",
    "baseline", "architecture", "d_in", "expansion", "order", "part",
)  # fmt: skip
"""What a table says of each of two SAEs, as ``first_model`` and so on."""


Pairs = Sequence[Mapping[str, Any]]
"""Of each pair comparison, differ, first, second and reference, as `comparisons.as_given` gives."""


class Sae(NamedTuple):
    """An SAE that is compared.

    Attributes
    ----------
    key : Key
        Which, without an evaluation set.
    run : Run
        Its record, and what was measured of it alone if a table reads that.
    """

    key: Key
    run: Run

    @property
    def facts(self) -> Mapping[str, Any]:
        """Its own record."""
        return self.run.sae

    @property
    def codes(self) -> Record:
        """Its codes (`saeflow.metrics.codes`); the table has to read them."""
        return self.run.records[CODES]

    @property
    def model(self) -> tuple[str, int | None]:
        """The language model, and at which step of its training; None for the end."""
        name, _, step = self.key.model.partition("@")
        return name, int(step) if step else None

    def columns(self) -> dict[str, Any]:
        """Return `OF_SAE`: expansion is width over d_in, step NaN for the end of training."""
        settings, step = self.facts.get("settings", {}), self.model[1]
        hook = Hook.parse(self.key.hook)
        tuned = "" if self.key.method == ORIGINAL else f"~{self.key.method}"
        return {
            "model": self.key.model,
            "step": np.nan if step is None else step,
            "dataset": self.key.dataset,
            "packing": self.key.packing,
            "hook": self.key.hook,
            "site": hook.site,
            "block": hook.block,
            "sae": self.key.sae + tuned,
            "seed": self.key.seed,
            "baseline": self.run.baseline,
            "architecture": self.facts["architecture"],
            "d_in": self.facts["d_in"],
            "expansion": self.facts["d_sae"] / self.facts["d_in"],
            "order": settings.get("order_seed", 0),
            "part": settings.get("part") or "",
        }


class Compared(NamedTuple):
    """Two SAEs and what was measured of them.

    Attributes
    ----------
    comparison : str
        The name of the comparison, or one of `saeflow.studies.universality.comparisons.NULLS`.
    differ : tuple of str
        In what they differ.
    first, second : Sae
        The two.
    record : Record
        Their similarity (`saeflow.metrics.similarity`).
    reference : str
        Of a null: which is the study's own SAE that is held against the other, a side.
    """

    comparison: str
    differ: tuple[str, ...]
    first: Sae
    second: Sae
    record: Record
    reference: str = ""

    @property
    def is_null(self) -> bool:
        """Whether the two should have nothing in common."""
        return self.comparison in NULLS

    def side(self, side: str) -> pd.DataFrame:
        """Return what was measured of each live latent of the first or the second SAE."""
        return self.record.table(f"{side}.parquet")

    def of(self, key: Key) -> pd.DataFrame:
        """Return what was measured of each live latent of one of the two."""
        return self.side(FIRST if self.first.key == key else SECOND)

    def directions(self) -> Iterator[tuple[str, Sae, Sae]]:
        """Yield whose latents are looked for in which; of a null, the reference's alone.

        Yields
        ------
        side : str
            In whose table the matches are.
        own, other : Sae
            The SAE whose latents are looked for, and the one that they are looked for in.
        """
        for side, own, other in (
            (FIRST, self.first, self.second), (SECOND, self.second, self.first),
        ):  # fmt: skip
            if self.reference in ("", side):
                yield side, own, other

    def columns(self) -> dict[str, Any]:
        """Return comparison, differ ("hook, seed"), and first_... and second_... of `OF_SAE`."""
        both = ((FIRST, self.first), (SECOND, self.second))
        return {
            "comparison": self.comparison,
            "differ": ", ".join(self.differ),
            **{f"{side}_{name}": v for side, sae in both for name, v in sae.columns().items()},
        }

    def extent(self) -> dict[str, int]:
        """Return how many tokens and documents the two were compared on."""
        return {name: self.record.facts[name] for name in EXTENT}


COLUMNS = ("comparison", "differ", *(f"{side}_{name}" for side in SIDES for name in OF_SAE))
"""Those of `Compared.columns`."""


def compared(runs: Sequence[Run], pairs: Pairs) -> Iterator[Compared]:
    """Yield the pairs of a study of which there is a similarity, in the order of the study."""
    saes = saes_of(runs)
    found = {(run.key.training, *run.key.other): run for run in runs if SIMILARITY in run.records}
    for pair in pairs:
        keys = (key_of(pair["first"]), key_of(pair["second"]))
        if keys in found and saes.keys() >= {*keys}:  # what failed to be made is left out
            first, second = (saes[key] for key in keys)
            record = found[keys].records[SIMILARITY]
            named = (pair["comparison"], tuple(pair["differ"]))
            yield Compared(*named, first, second, record, pair.get("reference", ""))


def saes_of(runs: Iterable[Run]) -> dict[Key, Sae]:
    """Return the SAEs that were read, by their keys without an evaluation set."""
    found: dict[Key, Sae] = {}
    for run in runs:
        if SAE in run.records:
            key, alone = run.key.training, not run.key.other
            if alone or key not in found:  # a pair's run has the record of its first SAE
                records = run.records if alone else {SAE: run.records[SAE]}
                found[key] = Sae(key, Run(key, records))
    return found


def key_of(row: Mapping[str, Any]) -> Key:
    """Return the key of an SAE from the wildcards of its path."""
    name, _, method = row["sae"].partition("~")
    place = (row["model"], row["dataset"], row["packing"], row["hook"])
    return Key(*place, name, row["seed"], method or ORIGINAL)


def known_facts(run: Run) -> pd.DataFrame:
    """Return what the latents of an SAE with the measure ``facts`` tell of a generated world.

    By the name of the fact: its kind, n, share, best latent, auc and f1.
    """
    record = run.records["facts"]
    facts, counts = record.table(FACTS), record.table(COUNTS)
    sums = counts.groupby("fact", sort=False)[list(SUMS)].sum().loc[facts["fact"]]
    share = facts["n"].to_numpy() / record.facts["n_tokens"]
    f1 = fact_f1({name: sums[name].to_numpy(float) for name in sums})
    return facts.assign(share=share, f1=f1).set_index("fact")
