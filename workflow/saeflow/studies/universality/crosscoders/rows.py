"""Which crosscoders a study has, and where they are. Read `crosscoder_rows`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saeflow.hooks import joined_places
from saeflow.studies.study import Config, Row, every_sae


def crosscoder_rows(config: Config, section: Config) -> Iterator[Row]:
    """Yield the crosscoders of the first seed, at each place of the study that they do not join."""
    of_first = {**section, "seeds": section["seeds"][:1]}
    for row in every_sae(config, of_first, saes=section["crosscoders"]):
        own, *others = places(config, row)
        if own not in others:
            yield row


def places(config: Config, row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the models and hooks of a crosscoder, in the order of its columns."""
    joined = config["saes"][row["sae"]]["joined"]
    return [(row["model"], row["hook"]), *joined_places(row["model"], joined)]


def has_crosscoders(config: Config, section: Config) -> bool:  # noqa: ARG001
    """Whether a study has any."""
    return bool(section["crosscoders"])


def given_crosscoders(config: Config, section: Config) -> dict[str, Any]:
    """Return arguments of builders: the crosscoders with their places, and shuffled models."""
    rows = crosscoder_rows(config, section)
    shuffled = [name for name, one in config["models"].items() if "shuffle" in one]
    return {
        "crosscoders": [{**row, "places": list(map(list, places(config, row)))} for row in rows],
        "shuffled": shuffled,
    }
