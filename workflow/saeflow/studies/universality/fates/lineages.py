"""Tables of what becomes of features where an SAE is wider: their descendants, width by width.

SAEs that differ in nothing but their expansion make a chain. Read `Chain`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from saeflow.studies.universality.fates.features import mean_of, told_by
from saeflow.studies.universality.fates.kin import Group, groups
from saeflow.studies.universality.reading import Compared, Sae, compared
from saeflow.tables.builders import columns, stack
from saeflow.tables.runs import Key, Run

LEAST = 0.5
"""The cosine from which on a feature of the wider SAE can be a child: four children of one size
whose directions have nothing in common each have half of their parent's."""
CHANCE = 0.99
"""The quantile of the null that it has to be above as well."""
MOST = 5
"""Numbers of children from which on features are counted together."""

_FACTS = "facts"
_PLACE = ("model", "hook", "site", "block", "family")
_SAE = ("sae", "seed", "expansion", "width")
_LATENT = ("latent", "active", "frequency", "carried", "fact")
_PARENT = (
    "parent_sae", "parent", "cosine", "correlation_parent", "correlation", "least",
)  # fmt: skip
_TREE = ("root_sae", "root", "n_children", "n_descendants")


class Step(NamedTuple):
    """Two SAEs of a chain, the wider one with the features that are parents of its own.

    Attributes
    ----------
    narrow, wide : Sae
        The two.
    matches : DataFrame
        Of each live latent of the wider one its best matches in the narrower one.
    least : float
        The cosine from which on its match is its parent.
    """

    narrow: Sae
    wide: Sae
    matches: pd.DataFrame
    least: float

    @classmethod
    def of(cls, narrow: Sae, wide: Sae, pair: Compared) -> Step:
        """Take what was measured of a pair."""
        matches = pair.side("first" if pair.first.key == wide.key else "second")
        chance = float(np.quantile(matches["cosine_gaussian"], CHANCE))
        return cls(narrow, wide, matches, max(LEAST, chance))

    @property
    def parents(self) -> np.ndarray:
        """The parent of each feature of the wider SAE, -1 for none."""
        match = self.matches["cosine_match"].to_numpy()
        return np.where(self.matches["cosine"] >= self.least, match, -1)


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
    def all(cls, runs: Sequence[Run], pairs: Sequence[Mapping[str, Any]]) -> Iterator[Chain]:
        """Yield the chains of a study."""
        found = [one for one in compared(runs, pairs) if one.differ == ("expansion",)]
        for group in groups((one for one in found if not one.is_null), apart=False):
            yield cls._of(group)

    @classmethod
    def _of(cls, group: Group) -> Chain:
        saes = sorted(group.saes, key=_width)
        live, steps = {}, []
        for (one, _), pair in group.pairs.items():
            live[one] = pair.side("first" if pair.first.key == one else "second")
        for number, wide in enumerate(saes):
            narrower = [sae for sae in saes[:number] if (sae.key, wide.key) in group.pairs]
            if narrower:
                pair = group.pairs[narrower[-1].key, wide.key]
                steps.append(Step.of(narrower[-1], wide, pair))
        n_tokens = next(iter(group.pairs.values())).record.facts["n_tokens"]
        return cls(tuple(saes), live, tuple(steps), n_tokens)

    def columns(self) -> dict[str, Any]:
        """Return what tables say of all of them; they are called after the narrowest."""
        own = self.saes[0].columns()
        place = {name: own[name] for name in ("model", "hook", "site", "block")}
        return {**place, "family": own["sae"]}


def _width(sae: Sae) -> int:
    return sae.facts["d_sae"]


def _of_sae(sae: Sae) -> dict[str, Any]:
    own = sae.columns()
    return {name: own[name] for name in _SAE[:-1]} | {"width": _width(sae)}


def lineages(runs: Sequence[Run], *, pairs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row per live latent of each SAE of a chain.

    Parameters
    ----------
    runs, pairs
        As of `saeflow.studies.universality.reading.compared`; runs of the measure "facts" too, if
        these are there.

    Returns
    -------
    DataFrame
        The chain, called after its narrowest SAE as ``family``; the SAE; the latent, its frequency
        (share of tokens), the share that it has of what live latents carry, and the ``fact`` of the
        world that it tells; ``parent_sae``, the next narrower SAE that it is compared with, and its
        ``parent`` there: the latent with the largest ``cosine`` of decoder directions, -1 if this
        is below ``least``; ``correlation_parent``, the one with the largest ``correlation`` of
        activations; ``root_sae`` and ``root``, the first of its line; how many children and
        descendants of all widths it has.
    """
    parts = [_lineage(chain) for chain in Chain.all(runs, pairs)]
    return stack(parts, [*_PLACE, *_SAE, *_LATENT, *_PARENT, *_TREE])


def _lineage(chain: Chain) -> pd.DataFrame:
    tables = {sae.key: _known(chain, sae) for sae in chain.saes}
    for step in chain.steps:  # the narrowest first, so that roots are known
        own, above = tables[step.wide.key], tables[step.narrow.key].set_index("latent")
        own["parent_sae"], own["parent"] = step.narrow.columns()["sae"], step.parents
        own["least"] = step.least
        own["cosine"] = step.matches["cosine"].to_numpy()
        own["correlation"] = step.matches["correlation"].to_numpy()
        own["correlation_parent"] = step.matches["correlation_match"].to_numpy()
        born = own["parent"] >= 0
        for name in ("root_sae", "root"):
            own.loc[born, name] = above.loc[own.loc[born, "parent"], name].to_numpy()
    for step in reversed(chain.steps):
        own, above = tables[step.wide.key], tables[step.narrow.key]
        born = own[own["parent"] >= 0]
        counts = born.groupby("parent")["n_descendants"].agg(["size", "sum"])
        counts = counts.reindex(above["latent"]).fillna(0).to_numpy(int)
        above["n_children"] += counts[:, 0]
        above["n_descendants"] += counts.sum(axis=1)
    return pd.concat(list(tables.values()), ignore_index=True)


def _known(chain: Chain, sae: Sae) -> pd.DataFrame:
    """Return what is known of an SAE's features without the others."""
    live, told = chain.live[sae.key], {}
    if _FACTS in sae.run.records:
        told = told_by(sae.run)
    latents = live["latent"].to_numpy()
    return pd.DataFrame(
        {
            **chain.columns(),
            **_of_sae(sae),
            "latent": latents,
            "active": live["active"].to_numpy(),
            "frequency": live["active"].to_numpy(float) / chain.n_tokens,
            "carried": live["carried"].to_numpy(float) / live["carried"].sum(),
            "fact": [told.get(latent, "") for latent in latents],
            "parent_sae": "",
            "parent": -1,
            "least": np.nan,
            "cosine": np.nan,
            "correlation": np.nan,
            "correlation_parent": -1,
            "root_sae": sae.columns()["sae"],
            "root": latents,
            "n_children": 0,
            "n_descendants": 0,
        }
    )


def children(
    runs: Sequence[Run],
    *,
    pairs: Sequence[Mapping[str, Any]],
    bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return how many features of an SAE have how many children in the next wider one.

    Parameters
    ----------
    runs, pairs
        As of `lineages`.
    bootstrap, seed
        Number of resamples of features, and their seed.

    Returns
    -------
    DataFrame
        The chain; ``narrow`` and ``wide``, the names of two SAEs, with their expansions and numbers
        of live latents; ``n_children``, the last one for `MOST` and more; ``share``, that of the
        narrower SAE's features, with its interval over features. The same throughout a pair:
        ``new``, the share of the wider SAE's features without a parent, with its interval;
        ``new_null``, the same if its directions were Gaussian ones; ``agree``, of those with one
        the share whose parent has the largest correlation of activations too.
    """
    rows = []
    for chain in Chain.all(runs, pairs):
        for step in chain.steps:
            latents = chain.live[step.narrow.key]["latent"].to_numpy()
            parents = step.parents
            born = parents >= 0
            n = pd.Series(parents[born]).value_counts().reindex(latents).fillna(0).to_numpy(int)
            agree = (parents == step.matches["correlation_match"].to_numpy())[born]
            nulls = step.matches["cosine_gaussian"].to_numpy()
            about = {
                **chain.columns(),
                **_between(step, len(latents)),
                **columns({"new": mean_of(1.0 - born, bootstrap, seed)}),
                "new_null": float((nulls < step.least).mean()),
                "agree": float(agree.mean()) if born.any() else np.nan,
            }
            for number in range(MOST + 1):
                these = n == number if number < MOST else n >= MOST
                share = mean_of(these.astype(float), bootstrap, seed)
                rows.append({**about, "n_children": number, **columns({"share": share})})
    ends = [f"{name}{end}" for name in ("share", "new") for end in ("", "_low", "_high")]
    between = ["narrow", "wide", "narrow_expansion", "wide_expansion", "n_narrow", "n_wide"]
    wanted = [*_PLACE, "seed", *between, "n_children", *ends, "new_null", "agree"]
    return pd.DataFrame(rows, columns=wanted)


def _between(step: Step, n_narrow: int) -> dict[str, Any]:
    narrow, wide = step.narrow.columns(), step.wide.columns()
    return {
        "seed": wide["seed"],
        "narrow": narrow["sae"],
        "wide": wide["sae"],
        "narrow_expansion": narrow["expansion"],
        "wide_expansion": wide["expansion"],
        "n_narrow": n_narrow,
        "n_wide": len(step.matches),
    }
