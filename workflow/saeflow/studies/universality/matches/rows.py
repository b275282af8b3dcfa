"""Of which pairs features are shown, and of which SAEs facts and effects are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saeflow.studies.classification.facts.rows import tells_facts
from saeflow.studies.study import Config, Row, every_sae
from saeflow.studies.universality.comparisons import NULLS, Pair, as_given, pairs, saes_of


def shown_pairs(config: Config, section: Config) -> list[Pair]:
    """Return the pairs whose features are shown: the first of each comparison of ``contexts_of``.

    Of each thing in which SAEs of a comparison differ alone the first is taken.
    """
    first: dict[tuple, Pair] = {}
    for pair in _of(config, section, "contexts_of"):
        first.setdefault((pair.comparison, pair.differ), pair)
    fewest: dict[str, int] = {}
    for pair in first.values():
        n = len(pair.differ)
        fewest[pair.comparison] = min(n, fewest.get(pair.comparison, n))
    return [pair for pair in first.values() if len(pair.differ) == fewest[pair.comparison]]


def shown_saes(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs of these pairs, each once."""
    yield from saes_of(shown_pairs(config, section))


def known_pairs(config: Config, section: Config) -> list[Pair]:
    """Return the pairs of ``facts_of`` of whose tokens something is known."""
    return [
        pair
        for pair in _of(config, section, "facts_of")
        if all(
            tells_facts(config, row, section["evaluate_on"]) for row in (pair.first, pair.second)
        )
    ]


def known_saes(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs of these pairs, each once."""
    yield from saes_of(known_pairs(config, section))


def effect_saes(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's own SAEs of ``effect_saes`` and of the first seed."""
    saes = section["saes"] if section["effect_saes"] is None else section["effect_saes"]
    yield from every_sae(config, {**section, "seeds": section["seeds"][:1]}, saes=saes)


def has_effects(config: Config, section: Config) -> bool:
    """Say whether there are such SAEs."""
    return any(True for _ in effect_saes(config, section))


def has_shown(config: Config, section: Config) -> bool:
    """Say whether some pair is shown."""
    return bool(shown_pairs(config, section))


def has_facts(config: Config, section: Config) -> bool:
    """Say whether there are pairs of whose tokens something is known."""
    return bool(known_pairs(config, section))


def given_shown(config: Config, section: Config) -> dict[str, Any]:
    """Return the pairs that are shown, and the seed of the choice of features."""
    shown = as_given(shown_pairs(config, section))
    return {**shown, "seed": config["measures"]["seed"]}


def given_known(config: Config, section: Config) -> dict[str, Any]:
    """Return the pairs of whose tokens something is known as an argument of a table's builder."""
    return as_given(known_pairs(config, section))


def _of(config: Config, section: Config, key: str) -> Iterator[Pair]:
    """Yield the pairs of the comparisons that a key names; of all where it is null."""
    wanted = section[key]
    for pair in pairs(config, section):
        if pair.comparison not in NULLS and (wanted is None or pair.comparison in wanted):
            yield pair
