"""Tables of what becomes of features where an SAE is wider: their descendants, width by width.

SAEs that differ in nothing but their expansion make a chain. Read `Chain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saeflow.metrics.splitting import LEAST, NARROW, WIDE
from saeflow.studies.universality.fates.features import told_by
from saeflow.studies.universality.fates.kin import Group, groups
from saeflow.studies.universality.reading import Pairs, Sae, compared
from saeflow.tables.builders import stack
from saeflow.tables.runs import Key, Record, Run

_FACTS, SPLITTING = "facts", "splitting"
PLACE = ("model", "hook", "site", "block", "family")
_OF_SAE = ("sae", "seed", "expansion", "width")
_OF_LATENT = {
    "latent": -1, "active": 0, "frequency": np.nan, "carried": np.nan, "fact": "",
    "parent_sae": "", "parent": -1, "cosine": np.nan, "correlation_parent": -1,
    "correlation": np.nan, "contained": np.nan, "root_sae": "", "root": -1, "n_children": 0,
    "n_descendants": 0, "kept": np.nan, "absorbed": np.nan,
}  # fmt: skip
"""Columns, and what they have of a latent of which nothing is known."""


class Step(NamedTuple):
    """Two SAEs of a chain, the wider one with the features that are parents of its own.

    Attributes
    ----------
    narrow, wide : Sae
        The two.
    matches : DataFrame
        Of each live latent of the wider one its best matches in the narrower one.
    counts : Record or None
        What `saeflow.measures.splitting` counted of the two, if that was measured.
    """

    narrow: Sae
    wide: Sae
    matches: pd.DataFrame
    counts: Record | None

    @property
    def parents(self) -> np.ndarray:
        """The parent of each feature of the wider SAE, -1 for none."""
        match = self.matches["cosine_match"].to_numpy()
        return np.where(self.matches["cosine"] >= LEAST, match, -1)


class Chain(NamedTuple):
    """SAEs that differ in nothing but their expansion, the narrowest first.

    Attributes
    ----------
    saes : tuple of Sae
        All.
    live : dict
        Of each, its live latents as matches have them.
    steps : tuple of Step
        Each but the narrowest, with the widest narrower one that it is compared with.
    n_tokens : int
        On so many tokens activity was counted.
    """

    saes: tuple[Sae, ...]
    live: dict[Key, pd.DataFrame]
    steps: tuple[Step, ...]
    n_tokens: int

    @classmethod
    def all(cls, runs: Sequence[Run], pairs: Pairs) -> Iterator[Chain]:
        """Yield the chains of a study."""
        found = [one for one in compared(runs, pairs) if one.differ == ("expansion",)]
        counts = {
            (run.key.training, *run.key.other): run.records[SPLITTING]
            for run in runs
            if SPLITTING in run.records
        }
        for group in groups((one for one in found if not one.is_null), apart=False):
            yield cls._of(group, counts)

    @classmethod
    def _of(cls, group: Group, counts: Mapping[tuple[Key, ...], Record]) -> Chain:
        saes = sorted(group.saes, key=_width)
        live, steps = {}, []
        for (one, _), pair in group.pairs.items():
            live[one] = pair.of(one)
        for number, wide in enumerate(saes):
            narrower = [sae for sae in saes[:number] if (sae.key, wide.key) in group.pairs]
            if narrower:
                narrow = narrower[-1]
                pair = group.pairs[narrow.key, wide.key]
                matches = pair.of(wide.key)
                own = counts.get((pair.first.key, pair.second.key))
                steps.append(Step(narrow, wide, matches, own))
        n_tokens = next(iter(group.pairs.values())).record.facts["n_tokens"]
        return cls(tuple(saes), live, tuple(steps), n_tokens)

    def columns(self) -> dict[str, Any]:
        """Return what tables say of all of them; they are called after the narrowest."""
        own = self.saes[0].columns()
        place = {name: own[name] for name in ("model", "hook", "site", "block")}
        return {**place, "family": own["sae"]}


def _width(sae: Sae) -> int:
    return sae.facts["d_sae"]


def lineages(runs: Sequence[Run], *, pairs: Pairs) -> pd.DataFrame:
    """Return a row per live latent of each SAE of a chain.

    Returns
    -------
    DataFrame
        The chain, called after its narrowest SAE as ``family``; the SAE; the latent, its frequency
        (share of tokens), the share that it has of what live latents carry, and the ``fact`` of the
        world that it tells; ``parent_sae``, the next narrower SAE that it is compared with, and its
        ``parent`` there: the latent with the largest ``cosine`` of decoder directions, -1 if this
        is below `LEAST`; ``correlation_parent``, the one with the largest ``correlation`` of
        activations; ``contained``, the share of its tokens on which its parent is active;
        ``root_sae`` and ``root``, the first of its line; how many children and descendants of all
        widths it has; and, in the SAE that is a step wider, the shares of its own tokens ``kept``,
        on which the most similar latent is active, and ``absorbed``, on which only children are.
        The shares are empty where `saeflow.measures.splitting` did not count.
    """
    parts = [_lineage(chain) for chain in Chain.all(runs, pairs)]
    return stack(parts, [*PLACE, *_OF_SAE, *_OF_LATENT])


def _lineage(chain: Chain) -> pd.DataFrame:
    tables = {sae.key: _known(chain, sae) for sae in chain.saes}
    for step in chain.steps:  # the narrowest first, so that roots are known
        own, above = tables[step.wide.key], tables[step.narrow.key].set_index("latent")
        own["parent_sae"], own["parent"] = step.narrow.columns()["sae"], step.parents
        own["cosine"] = step.matches["cosine"].to_numpy()
        own["correlation"] = step.matches["correlation"].to_numpy()
        own["correlation_parent"] = step.matches["correlation_match"].to_numpy()
        born = own["parent"] >= 0
        for name in ("root_sae", "root"):
            own.loc[born, name] = above.loc[own.loc[born, "parent"], name].to_numpy()
        if step.counts is not None:
            narrow, wide = (step.counts.table(name) for name in (NARROW, WIDE))
            own["contained"] = _of_all(own, wide, "together").where(own["parent"] >= 0)
            for name in ("kept", "absorbed"):
                tables[step.narrow.key][name] = _of_all(tables[step.narrow.key], narrow, name)
    for step in reversed(chain.steps):
        own, above = tables[step.wide.key], tables[step.narrow.key]
        born = own[own["parent"] >= 0]
        counts = born.groupby("parent")["n_descendants"].agg(["size", "sum"])
        counts = counts.reindex(above["latent"]).fillna(0).to_numpy(int)
        above["n_children"] += counts[:, 0]
        above["n_descendants"] += counts.sum(axis=1)
    return pd.concat(list(tables.values()), ignore_index=True)


def _of_all(table: pd.DataFrame, counts: pd.DataFrame, name: str) -> pd.Series:
    """Return the share of each feature's tokens that were counted as something."""
    counted = counts.set_index("latent")
    share = counted[name] / counted["active"]
    return pd.Series(share.reindex(table["latent"]).to_numpy(), index=table.index)


def _known(chain: Chain, sae: Sae) -> pd.DataFrame:
    """Return what is known of an SAE's features without the others."""
    live, of_sae = chain.live[sae.key], {**sae.columns(), "width": _width(sae)}
    told = told_by(sae.run) if _FACTS in sae.run.records else {}
    latents, active, carried = (live[name].to_numpy() for name in ("latent", "active", "carried"))
    known = {
        "latent": latents, "active": active, "frequency": active / chain.n_tokens,
        "carried": carried / carried.sum(), "fact": [told.get(latent, "") for latent in latents],
        "root_sae": of_sae["sae"], "root": latents,
    }  # fmt: skip
    about = {**chain.columns(), **{name: of_sae[name] for name in _OF_SAE}}
    return pd.DataFrame({**about, **_OF_LATENT, **known})
