"""SAEs that nobody trained and how similar they are: records of known answer for tables, figures.

`study` makes the runs of a whole study and the pairs that it compares. What two SAEs share is
known: an SAE with n live latents has the first half of its features of a list that is the same for
all, the other half are its own. Two SAEs share what is on the list as far as the smaller one has
it; on a shared feature their similarity is `shared_value`, on others `floor`, what chance gives,
each give or take something of mean zero. SAEs with random weights or on a shuffled model share
nothing with others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd

from saeflow.studies.universality import reading
from saeflow.studies.universality.comparisons import each_sae, given_pairs, pairs
from saeflow.tables.runs import Key, Record, Run

N_TOKENS, N_DOCUMENTS, N_GROUPS = 10_000, 80, 20
ON = {"dataset": "world", "packing": "sae-256"}
D_IN = {"large": 32}
"""By model, of those that do not have 16."""
DEAD, RARE, DUPLICATE = 2, 1, 1
"""Latents of each SAE that are not compared."""
QUANTITIES = ("cosine", "aligned", "encoder", "correlation")
TOLD = 0.02
"""Half the range of what values differ by on shared features, and on others."""
COSTS = {
    "model": 0.3, "checkpoint": 0.2, "dataset": 0.1, "packing": 0.02, "hook": 0.25,
    "expansion": 0.05, "architecture": 0.1, "order": 0.02, "part": 0.08, "recipe": 0.04,
    "seed": 0.04,
}  # fmt: skip
"""By how much 0.99 is less on features that two SAEs share for each thing in which they differ."""


class MadeUp(NamedTuple):
    """The runs of a study, what its tables' builders get of pairs, and its configuration."""

    runs: tuple[Run, ...]
    given: dict[str, Any]
    config: dict[str, Any]
    section: dict[str, Any]


def recipe(name: str) -> dict[str, Any]:
    """Return the recipe that a name like "topk-x4", "relu-x8-order-1-part-2" or "random-x4" says.

    The last is one with random weights.
    """
    found = re.fullmatch(r"(\w+)-x(\d+)(?:-order-(\d+))?(?:-part-(\d+))?", name)
    architecture, expansion, order, part = found.groups()
    untrained = {"tokens": 0} if architecture == "random" else {}
    return {
        "architecture": "topk" if untrained else architecture,
        "expansion": float(expansion),
        "order_seed": int(order or 0),
        "part": f"{part}/2" if part else None,
        **untrained,
    }


def study(
    comparisons: Mapping[str, Mapping[str, Any]],
    *,
    models: Sequence[str] = ("small",),
    hooks: Sequence[str] = ("mlp_out.1",),
    saes: Sequence[str] = ("topk-x4",),
    seeds: Sequence[int] = (0,),
    nulls: Mapping[str, Sequence[str]] | None = None,
) -> MadeUp:
    """Return a study of SAEs with the names of `recipe`.

    Parameters
    ----------
    comparisons
        As in the configuration; what is not set is null.
    models, hooks, saes, seeds
        The study's own.
    nulls
        Of keys hooks, saes, models; by default another layer, random weights, a shuffled model.
    """
    empty = dict.fromkeys(("models", "train_on", "hooks", "saes", "seeds", "against"))
    nulls = nulls or {"hooks": ["mlp_out.3"], "saes": ["random-x4"], "models": ["shuffled"]}
    section = {
        "models": list(models), "train_on": ON, "evaluate_on": ON, "hooks": list(hooks),
        "saes": list(saes), "seeds": list(seeds), "language_saes": [],
        "comparisons": {name: {**empty, **own} for name, own in comparisons.items()},
        "nulls": {"hooks": [], "saes": [], "models": [], **nulls},
    }  # fmt: skip
    lists = [*section["comparisons"].values(), section, section["nulls"]]
    config = {"saes": {name: recipe(name) for own in lists for name in own["saes"] or ()}}
    saes = {reading.key_of(row): row for row in each_sae(config, section)}
    runs = [_run_of_sae(key) for key in saes]
    found = {}
    for pair in pairs(config, section):
        first, second = (reading.key_of(row) for row in (pair.first, pair.second))
        found[first, second] = _run_of_pair(first, second, pair.differ)
    every = sorted([*runs, *found.values()], key=lambda run: run.key.order())
    return MadeUp(tuple(every), given_pairs(config, section), config, section)


def factorial(n_seeds: int = 2, n_orders: int = 2, n_parts: int = 2) -> dict[str, Any]:
    """Return a comparison that varies seed, order and part."""
    orders = [f"-order-{i}" if i else "" for i in range(n_orders)]
    parts = [f"-part-{i + 1}" for i in range(n_parts)] if n_parts > 1 else [""]
    names = [f"topk-x4{order}{part}" for order in orders for part in parts]
    return {"vary": ["sae", "seed"], "saes": names, "seeds": list(range(n_seeds))}


@cache
def features(key: Key) -> np.ndarray:
    """Return what the live latents of an SAE stand for, (n_live,): numbers of features.

    Those on the common list are the least; an SAE's own are above 10^6.
    """
    n = n_live(key)
    common = 0 if key.sae.startswith("random") or key.model == "shuffled" else n // 2
    own = 1_000_000 + _seed(key) % 1_000_000 * 1_000
    return np.concatenate([np.arange(common), own + np.arange(n - common)])


def n_live(key: Key) -> int:
    """Return how many live latents an SAE has: all that are not dead, rare or duplicates."""
    return width(key) - DEAD - RARE - DUPLICATE


def width(key: Key) -> int:
    """Return an SAE's width."""
    return int(d_in(key) * recipe(key.sae)["expansion"])


def d_in(key: Key) -> int:
    """Return the width of a hook."""
    return D_IN.get(key.model.partition("@")[0], 16)


def shared_value(differ: Sequence[str], quantity: str) -> float:
    """Return how similar two latents of one feature are, in the mean."""
    less = sum(COSTS[name] for name in differ)
    return max(0.0, {"encoder": 0.9, "correlation": 0.97}.get(quantity, 0.99) - less)


def floor(key: Key, n_others: int, quantity: str) -> float:
    """Return how similar the best of so many unrelated latents is, in the mean."""
    if quantity == "correlation":
        return 0.1
    return float(min(0.6, np.sqrt(2 * np.log(n_others) / d_in(key)) / 2))


def mean_best(first: Key, second: Key, differ: Sequence[str], quantity: str) -> float:
    """Return the mean over the first's live latents of the best value among the second's."""
    shared = np.isin(features(first), features(second))
    values = shared_value(differ, quantity), floor(first, n_live(second), quantity)
    return float(np.where(shared, *values).mean())


def of_similarity(first: Key, second: Key, differ: Sequence[str]) -> list[str]:
    """Return the quantities that two SAEs have."""
    one = d_in(first) == d_in(second)
    across = {"hook", "model", "checkpoint"} & {*differ}
    named = {"cosine": one, "aligned": across, "encoder": one, "correlation": True}
    return [name for name in QUANTITIES if named[name]]


def _seed(*of: Any) -> int:
    return crc32(" ".join(map(str, of)).encode())


def _run_of_sae(key: Key) -> Run:
    own = recipe(key.sae)
    facts = {
        "architecture": own["architecture"], "d_in": d_in(key), "d_sae": width(key),
        "seed": key.seed, "settings": own, "training": {"tokens": own.get("tokens", 50_000)},
    }  # fmt: skip
    records = {"codes": codes(key), "sae": Record(facts, {}.__getitem__)}
    return Run(_on(key), records)


def codes(key: Key) -> Record:
    """Return the codes of an SAE: documents and latents."""
    latents = _latents(key)
    n_tokens = np.full(N_DOCUMENTS, N_TOKENS // N_DOCUMENTS)
    active = latents["active"].sum() // N_DOCUMENTS
    documents = {"document": np.arange(N_DOCUMENTS), "n_tokens": n_tokens, "active": active}
    tables = {"latents.parquet": latents, "documents.parquet": pd.DataFrame(documents)}
    facts = {
        "d_in": d_in(key), "d_sae": width(key), "n_tokens": N_TOKENS, "n_documents": N_DOCUMENTS,
        "asked": N_TOKENS, "tokens": "0" * 64, "counts": counts(key),
    }  # fmt: skip
    return Record(facts, tables.__getitem__)


def counts(key: Key) -> dict[str, int]:
    """Return how many latents an SAE has of each status."""
    return {"live": n_live(key), "dead": DEAD, "rare": RARE, "duplicate": DUPLICATE}


@cache
def _latents(key: Key) -> pd.DataFrame:
    """Return all latents of an SAE, live ones in the order of `features` but shuffled among all."""
    n, d_sae = n_live(key), width(key)
    place = np.sort(np.random.default_rng(_seed(key)).permutation(d_sae)[:n])
    status = np.full(d_sae, "live", dtype=object)
    status[np.setdiff1d(np.arange(d_sae), place)] = (
        ["dead"] * DEAD + ["rare"] * RARE + ["duplicate"] * DUPLICATE
    )
    active = np.zeros(d_sae, int)
    active[place] = np.geomspace(2_000, 20, n).astype(int)  # what is common is frequent
    active[status == "rare"], active[status == "duplicate"] = 3, 25
    twin = np.where(status == "duplicate", place[0], -1)
    return pd.DataFrame(
        {
            "latent": np.arange(d_sae), "active": active, "sum": 2.0 * active,
            "square": 5.0 * active, "max": np.where(active > 0, 6.0, 0.0), "norm": 1.0,
            "carried": 1.5 * active, "status": status, "twin": twin,
            "nearest": np.where(status == "live", 0.4, np.nan),
        }
    )  # fmt: skip


def _on(key: Key, *other: Key) -> Key:
    return replace(key, eval_dataset=ON["dataset"], eval_packing=ON["packing"], other=other)


def _run_of_pair(first: Key, second: Key, differ: Sequence[str]) -> Run:
    names = of_similarity(first, second, differ)
    sides = {
        "first": _matches(first, second, differ, names),
        "second": _matches(second, first, differ, names),
    }
    groups = [_groups(*side, second if side[0] == "first" else first) for side in sides.items()]
    tables = {f"{name}.parquet": own for name, own in sides.items()}
    tables["groups.parquet"] = pd.concat(groups, ignore_index=True)
    facts = {
        "n_tokens": N_TOKENS, "n_documents": N_DOCUMENTS, "n_groups": N_GROUPS,
        "first": {**counts(first), "width": width(first)},
        "second": {**counts(second), "width": width(second)},
        "left_out": {name: "why" for name in QUANTITIES if name not in names},
        "alignment": {"tokens": 5_000, "explained": 0.8} if "aligned" in names else None,
        "spaces": spaces(first, second, differ),
    }  # fmt: skip
    sae = _run_of_sae(first).records["sae"]
    return Run(_on(first, second), {"similarity": Record(facts, tables.__getitem__), "sae": sae})


def reread(run: Run, change: Callable[[str, pd.DataFrame], pd.DataFrame]) -> Run:
    """Return the run of a pair with its tables as ``change`` has them, or another as it is."""
    if not run.key.other:
        return run
    record = run.records["similarity"]
    changed = Record(record.facts, lambda name: change(name, record.table(name)))
    return Run(run.key, {**run.records, "similarity": changed})


def lacking(runs: Sequence[Run], measure: str, seed: int) -> list[Run]:
    """Return runs without what was measured of the SAEs of a seed."""
    return [
        replace(run, records={k: v for k, v in run.records.items() if k != measure})
        if run.key.seed == seed
        else run
        for run in runs
    ]


def _matches(own: Key, other: Key, differ: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """Return what is found for each live latent of an SAE among those of another one."""
    latents, others = (_live(key) for key in (own, other))
    table = latents[["latent", "active", "sum", "square", "norm", "carried"]].copy()
    shared = np.isin(features(own), features(other))
    partner = np.where(shared, np.arange(len(table)), -1)  # both begin with the common list
    free = np.arange(shared.sum(), len(others))
    nearest = np.where(shared, partner, free[np.arange(len(table)) % len(free)])
    rest = np.flatnonzero(~shared)[: len(free)]
    left_over = ~shared
    left_over[rest] = False
    for name in names:
        low, high = floor(own, len(others), name), shared_value(differ, name)
        value = np.where(shared, high + _told(shared), low + _told(~shared))
        table[name] = value
        table[f"{name}_match"] = others["latent"].to_numpy()[nearest]
        one = np.where(shared, value, value / 2)
        table[f"{name}_one"] = np.where(left_over, np.nan, one)
        matched = partner.copy()
        matched[rest] = free[: len(rest)]
        table[f"{name}_one_match"] = np.where(matched < 0, -1, others["latent"].to_numpy()[matched])
        everywhere = np.ones(len(table), bool)
        kinds = ("tokens",) if name == "correlation" else ("gaussian", "columns")
        for kind in kinds:
            table[f"{name}_{kind}"] = low + _told(everywhere)
            table[f"{name}_{kind}_one"] = np.where(left_over, np.nan, low / 2)
    return table


def _told(where: np.ndarray) -> np.ndarray:
    """Return something of mean zero where so, and zero elsewhere, (n,)."""
    n, values = int(where.sum()), np.zeros(len(where))
    values[where] = np.linspace(-TOLD, TOLD, n) if n > 1 else 0.0
    return values


def _live(key: Key) -> pd.DataFrame:
    table = _latents(key)
    return table[table["status"] == "live"].reset_index(drop=True)


def _groups(side: str, table: pd.DataFrame, other: Key) -> pd.DataFrame:
    """Return sums by group of which the correlation is that of the match; groups differ in it."""
    match = _latents(other).set_index("latent").loc[table["correlation_match"]]
    moments = []
    for own in (table, match):
        mean = own["sum"].to_numpy(float) / N_TOKENS
        moments.append((mean, own["square"].to_numpy(float) / N_TOKENS - mean**2))
    (x, var_x), (y, var_y) = moments
    n, parts = N_TOKENS / N_GROUPS, []
    for group, more in enumerate(np.linspace(-0.05, 0.05, N_GROUPS)):
        r = table["correlation"].to_numpy() + more
        parts.append(
            pd.DataFrame(
                {
                    "side": side, "group": group, "latent": table["latent"], "n": n,
                    "sum": n * x, "square": n * (var_x + x**2),
                    "match_sum": n * y, "match_square": n * (var_y + y**2),
                    "both": n * (r * np.sqrt(var_x * var_y) + x * y),
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def spaces(first: Key, second: Key, differ: Sequence[str]) -> dict[str, float]:
    """Return what is said of the spaces that matched latents span."""
    matched = int(np.isin(features(first), features(second)).sum())
    value = shared_value(differ, "cosine") if matched else 0.1
    found: dict[str, float] = {"matched": matched}
    for name, null in (("cka", 0.08), ("svcca", 0.3), ("rsa", 0.0)):
        found |= {name: max(value, null), f"{name}_null": null, f"{name}_null_sd": 0.02}
    return found
