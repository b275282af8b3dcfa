"""What single latents know of the world, in words. Read `known`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from saeflow.figures.places import learned
from saeflow.studies.classification.facts import CAPTURED, EVERY, TRAINED
from saeflow.studies.classification.facts.looks import best_place, looks_of, named
from saeflow.world.facts import LEXICAL, ROLE

_GATED = (LEXICAL, ROLE)


def known(tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Yield sentences on the SAE that tells most, on what it is held against, and on the gate."""
    if "facts_captured" not in tables or tables["facts_captured"].empty:
        return
    table = named(tables["facts_captured"])
    every = table[table["kind"] == EVERY]
    model, hook, series = best_place(every, "fact_f1")
    here = table[(table["model"] == model) & (table["hook"] == hook)]
    own = here[here["series"] == series].groupby("kind").mean(numeric_only=True)
    row = own.loc[EVERY]
    yield (
        f"Of {row['n_facts']:.0f} facts known of the world's tokens, single latents of {series} at"
        f" {hook} capture {row['captured']:.0f} (F1 above {CAPTURED}; 95 %:"
        f" {row['captured_low']:.0f} to {row['captured_high']:.0f}), several latents together"
        f" {row['captured_union']:.0f}, linear probes of the activations"
        f" {row['captured_probe']:.0f}."
    )
    others = every[~every["series"].isin(learned(every)["series"])]
    most = others.groupby("series", sort=False)["captured"].max()
    if len(most):
        found = [f"{name} {most[name]:.0f}" for name in looks_of(others)]
        yield f"At any hook, at most: {', '.join(found)}."
    for kind in (kind for kind in _GATED if kind in own.index):
        one = own.loc[kind]
        verdict = "meets" if one["fact_f1"] > CAPTURED else "misses"
        yield (
            f"Its mean F1 over {kind} facts is {one['fact_f1']:.2f} ({one['fact_f1_low']:.2f} to"
            f" {one['fact_f1_high']:.2f}) and {verdict} the world's gate of {CAPTURED}."
        )
    yield from _shuffled(tables.get("facts_on_shuffled"))


def _shuffled(table: pd.DataFrame | None) -> Iterator[str]:
    """Yield what SAEs on shuffled models tell of roles, which words alone do not give away."""
    if table is None:
        return
    roles = table[table["kind"] == ROLE]
    found = [roles[(roles["weights"] == TRAINED) == real]["fact_f1"] for real in (True, False)]
    if all(len(values) for values in found):
        real, none = (values.mean() for values in found)
        yield f"On shuffled weights the mean F1 over role facts is {none:.2f}, with the same"
        yield f"recipes on the model itself {real:.2f}."
