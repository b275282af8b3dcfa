"""Which SAEs the post's tables are about that are no pairs, and what there is to show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from saeflow.studies.study import Config, Row, every_sae
from saeflow.studies.universality.comparisons import NULLS, given_pairs, pairs


def own(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's own SAEs."""
    yield from every_sae(config, section)


def in_model(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs that are put in the model's place, of the study's first seed."""
    first = {**section, "seeds": section["seeds"][:1]}
    yield from every_sae(config, first, saes=section["language_saes"])


def given_hubs(config: Config, section: Config) -> dict[str, Any]:
    """Return the pairs, and which of the models are on the hub, as arguments of a builder."""
    hubs = {name: model["hub"] for name, model in config["models"].items() if "hub" in model}
    return {**given_pairs(config, section), "hubs": hubs}


def has_language(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Say whether SAEs are put in the model's place."""
    return bool(section["language_saes"])


def has_slips(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Say whether the post's computations are made that went wrong."""
    return bool(config["measures"]["similarity"]["published_mode"])


def has_models(config: Config, section: Config) -> bool:
    """Say whether there are pairs of models, all else the same."""
    return _has(config, section, "model")


def has_trainings(config: Config, section: Config) -> bool:
    """Say whether there are pairs of models, or of checkpoints of one."""
    return _has(config, section, "model", "checkpoint")


def has_expansions(config: Config, section: Config) -> bool:
    """Say whether there are pairs of SAEs that differ in their widths alone."""
    return _has(config, section, "expansion")


def _has(config: Config, section: Config, *differ: str) -> bool:
    return any(
        pair.differ in [(one,) for one in differ] and pair.comparison not in NULLS
        for pair in pairs(config, section)
    )
