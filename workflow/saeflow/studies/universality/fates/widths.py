"""Tables of two widths: how many children features have, and where descendants are active."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import mean_of
from saeflow.metrics.splitting import LEAST, NARROW, WIDE
from saeflow.studies.universality.fates.lineages import PLACE, Chain, Step
from saeflow.studies.universality.reading import Pairs
from saeflow.tables.builders import columns
from saeflow.tables.runs import Run

MOST = 5
"""Numbers of children from which on features are counted together."""

KEPT, ABSORBED, SILENT = OUTCOMES = ("kept", "absorbed", "silent")
"""What becomes of a feature's tokens in the wider SAE: the most similar feature is active; not that
but a child; neither."""

_BETWEEN = ("narrow", "wide", "narrow_expansion", "wide_expansion", "n_narrow", "n_wide")


def children(
    runs: Sequence[Run], *, pairs: Pairs, bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return how many features of an SAE have how many children in the next wider one.

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
                "new_null": float((nulls < LEAST).mean()),
                "agree": float(agree.mean()) if born.any() else np.nan,
            }
            for number in range(MOST + 1):
                these = n == number if number < MOST else n >= MOST
                share = mean_of(these.astype(float), bootstrap, seed)
                rows.append({**about, "n_children": number, **columns({"share": share})})
    ends = [f"{name}{end}" for name in ("share", "new") for end in ("", "_low", "_high")]
    wanted = [*PLACE, "seed", *_BETWEEN, "n_children", *ends, "new_null", "agree"]
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


def absorption(
    runs: Sequence[Run], *, pairs: Pairs, bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return what becomes of the tokens of an SAE's features in the next wider one.

    Returns
    -------
    DataFrame
        The chain and two SAEs as in `children`; ``outcome``, one of `OUTCOMES`; ``share``, the mean
        over the narrower SAE's features of the share of their tokens, with its interval over
        features, and ``null``, what it would be if latents of the wider SAE were active elsewhere
        as often. The same throughout a pair: ``contained``, the mean over the wider SAE's features
        with a parent of the share of their tokens on which it is active, with its interval, and
        ``contained_null``.
    """
    rows = []
    for chain in Chain.all(runs, pairs):
        for step in chain.steps:
            if step.counts is not None:
                about = {**chain.columns(), **_between(step, len(chain.live[step.narrow.key]))}
                rows += (about | row for row in _outcomes(step, chain.n_tokens, bootstrap, seed))
    ends = [f"{name}{end}" for name in ("share", "contained") for end in ("", "_low", "_high")]
    wanted = [*PLACE, "seed", *_BETWEEN, "outcome", *ends, "null", "contained_null"]
    return pd.DataFrame(rows, columns=wanted)


def _outcomes(step: Step, n_tokens: int, bootstrap: int, seed: int) -> Iterator[dict[str, Any]]:
    narrow, wide = (step.counts.table(name) for name in (NARROW, WIDE))
    often = {
        "main": wide.set_index("latent")["active"].reindex(narrow["main"]).fillna(0) / n_tokens,
        "parent": narrow.set_index("latent")["active"].reindex(wide["parent"]) / n_tokens,
        "child": narrow["children_active"].to_numpy() / n_tokens,
    }
    often = {name: np.asarray(own, float) for name, own in often.items()}
    shares = {name: (narrow[name] / narrow["active"]).to_numpy() for name in (KEPT, ABSORBED)}
    nulls = {KEPT: often["main"], ABSORBED: (1 - often["main"]) * often["child"]}
    born = (wide["parent"] >= 0).to_numpy()
    about: dict[str, Any] = {}
    if born.any():
        contained = (wide["together"] / wide["active"]).to_numpy()[born]
        about = columns({"contained": mean_of(contained, bootstrap, seed)})
        about["contained_null"] = float(often["parent"][born].mean())
    for own in (shares, nulls):
        own[SILENT] = 1 - own[KEPT] - own[ABSORBED]
    for name in OUTCOMES:
        share = columns({"share": mean_of(shares[name], bootstrap, seed)})
        yield {**about, "outcome": name, **share, "null": float(nulls[name].mean())}
