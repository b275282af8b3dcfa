"""Which SAEs and pairs tables are about, and whether a configuration has any.

What `saeflow.studies.study.Table` calls rows, given and when. Which pairs there are at all says
`comparisons`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from saeflow.hooks import joined_places
from saeflow.studies.classification.facts.rows import tells_facts
from saeflow.studies.study import Config, Row, When, every_sae
from saeflow.studies.universality.comparisons import (
    KEYS,
    Pair,
    as_given,
    compared_pairs,
    each_sae,
    first_seed,
    given_pairs,
    of_comparison,
    pairs,
    saes_of,
)

LEAST_OF_MAP = 3
"""SAEs of which a map is drawn."""
_FACTORS = {"seed", "order", "part"}


def has_differing(*differ: str) -> When:
    """Return whether there are pairs that differ in one of these things and in nothing else."""
    return lambda config, section: any(
        len(pair.differ) == 1 and pair.differ[0] in differ
        for pair in compared_pairs(config, section)
    )


def has_some(of: Callable[[Config, Config], Iterable[Any]]) -> When:
    """Return whether there are any of these rows or pairs."""
    return lambda config, section: any(True for _ in of(config, section))


def has_maps(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Say whether a comparison has three SAEs each two of which are held against each other."""
    for comparison in section["comparisons"].values():
        there = of_comparison(section, comparison)
        mixed = "seed" in comparison["vary"] and len(comparison["vary"]) > 1
        n = math.prod(len(there[KEYS[key]]) for key in comparison["vary"])
        if comparison["against"] is None and not mixed and n >= LEAST_OF_MAP:
            return True
    return False


# -- the post --------------------------------------------------------------------------------------


def in_model(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs that are put in the model's place, of the study's first seed."""
    yield from every_sae(config, first_seed(section), saes=section["language_saes"])


def given_hubs(config: Config, section: Config) -> dict[str, Any]:
    """Return the pairs, and which of the models are on the hub."""
    hubs = {name: model["hub"] for name, model in config["models"].items() if "hub" in model}
    return {**given_pairs(config, section), "hubs": hubs}


# -- fates -----------------------------------------------------------------------------------------


def has_designs(config: Config, section: Config) -> bool:
    """Say whether some comparison has SAEs that differ in several of seed, order and part."""
    varied: dict[str, set[str]] = {}
    for pair in compared_pairs(config, section):
        if {*pair.differ} <= _FACTORS:
            varied.setdefault(pair.comparison, set()).update(pair.differ)
    return any(len(names) > 1 for names in varied.values())


def of_widths(config: Config, section: Config) -> Iterator[Row]:
    """Yield the rows of the pairs that are steps from a width to the next, each once.

    Of what a wider SAE is compared with that differs in nothing but the expansion, that is the
    widest narrower one.
    """

    def expansion(row: Row) -> float:
        return config["saes"][row["sae"].partition("~")[0]]["expansion"]

    steps: dict[str, tuple[float, Pair]] = {}
    for pair in compared_pairs(config, section):
        if pair.differ == ("expansion",):
            narrow, wide = sorted((pair.first, pair.second), key=expansion)
            known, _ = steps.get(str(wide), (0.0, pair))
            if (own := expansion(narrow)) > known:
                steps[str(wide)] = own, pair
    yield from (pair.row for _, pair in steps.values())


def has_others(config: Config, section: Config) -> bool:
    """Say whether the study's own SAEs are compared with others at the same hook."""
    own = list(every_sae(config, first_seed(section)))
    return any(
        not {"model", "checkpoint", "hook"} & {*pair.differ}
        and (pair.first in own or pair.second in own)
        for pair in compared_pairs(config, section)
    )


def given_own(config: Config, section: Config) -> dict[str, Any]:
    """Return the pairs, and the study's own SAEs of the first seed."""
    own = every_sae(config, first_seed(section))
    return {**given_pairs(config, section), "own": list(own)}


# -- matches ---------------------------------------------------------------------------------------


def shown_pairs(config: Config, section: Config) -> list[Pair]:
    """Return the pairs whose features are shown: the first of each comparison of ``contexts_of``.

    Of each thing in which SAEs of a comparison differ alone the first is taken.
    """
    first: dict[tuple, Pair] = {}
    for pair in _named(config, section, "contexts_of"):
        first.setdefault((pair.comparison, pair.differ), pair)
    fewest: dict[str, int] = {}
    for pair in first.values():
        n = len(pair.differ)
        fewest[pair.comparison] = min(n, fewest.get(pair.comparison, n))
    return [pair for pair in first.values() if len(pair.differ) == fewest[pair.comparison]]


def shown_saes(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs of these pairs, each once."""
    yield from saes_of(shown_pairs(config, section))


def given_shown(config: Config, section: Config) -> dict[str, Any]:
    """Return the pairs that are shown, and the seed of the choice of features."""
    shown = as_given(shown_pairs(config, section))
    return {**shown, "seed": config["measures"]["seed"]}


def known_pairs(config: Config, section: Config) -> list[Pair]:
    """Return the pairs of ``facts_of`` of whose tokens something is known."""
    on = section["evaluate_on"]
    return [
        pair
        for pair in _named(config, section, "facts_of")
        if all(tells_facts(config, row, on) for row in (pair.first, pair.second))
    ]


def known_saes(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs of these pairs, each once."""
    yield from saes_of(known_pairs(config, section))


def given_known(config: Config, section: Config) -> dict[str, Any]:
    """Return these pairs."""
    return as_given(known_pairs(config, section))


def effect_saes(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's own SAEs of ``effect_saes`` and of the first seed."""
    yield from every_sae(config, first_seed(section), saes=section["effect_saes"])


def _named(config: Config, section: Config, key: str) -> list[Pair]:
    """Return the pairs of the comparisons that a key names; of all where it is null."""
    names = section["comparisons"] if section[key] is None else section[key]
    return [pair for pair in compared_pairs(config, section) if pair.comparison in names]


# -- crosscoders -----------------------------------------------------------------------------------


def crosscoder_rows(config: Config, section: Config) -> Iterator[Row]:
    """Yield the crosscoders of the first seed, at each place of the study that they do not join."""
    for row in every_sae(config, first_seed(section), saes=section["crosscoders"]):
        own, *others = places(config, row)
        if own not in others:
            yield row


def places(config: Config, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the models and hooks of a crosscoder, in the order of its columns."""
    joined = config["saes"][row["sae"]]["joined"]
    return [(row["model"], row["hook"]), *joined_places(row["model"], joined)]


def given_crosscoders(config: Config, section: Config) -> dict[str, Any]:
    """Return the crosscoders with their places, and shuffled models."""
    rows = crosscoder_rows(config, section)
    shuffled = [name for name, one in config["models"].items() if "shuffle" in one]
    return {
        "crosscoders": [{**row, "places": list(map(list, places(config, row)))} for row in rows],
        "shuffled": shuffled,
    }


def crosscoders_and_others(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs of all pairs, and crosscoders."""
    yield from each_sae(config, section)
    yield from crosscoder_rows(config, section)


def given_crosscoders_and_pairs(config: Config, section: Config) -> dict[str, Any]:
    """Return what `given_crosscoders` does, and the pairs."""
    return {**given_crosscoders(config, section), **given_pairs(config, section)}


def has_pairs_there(config: Config, section: Config) -> bool:
    """Say whether SAEs of two places of one crosscoder are held against each other."""
    there = [{*places(config, row)} for row in crosscoder_rows(config, section)]
    ends = (
        {(row["model"], row["hook"]) for row in (pair.first, pair.second)}
        for pair in pairs(config, section)
    )
    return any(len(end) == 2 and end <= one for end in ends for one in there)
