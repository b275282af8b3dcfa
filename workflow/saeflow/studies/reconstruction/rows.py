"""What the study measures where: SAEs at contexts, at prompts, and upstream of others."""

from __future__ import annotations

from collections.abc import Iterator

from saeflow.hooks import Hook
from saeflow.sae.baselines import BASELINES
from saeflow.studies.study import OTHERS, PROMPTS, Config, Row, every_sae


def learned(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's SAEs without baselines, which are controls of single hooks."""
    for row in every_sae(config, section):
        if config["saes"][row["sae"].partition("~")[0]].get("architecture") not in BASELINES:
            yield row


def at_positions(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's SAEs, and those of shorter contexts."""
    yield from learned(config, section)
    if place := section["context_on"]:
        yield from every_sae(config, section, train_on=place, saes=section["context_saes"])


def on_prompts(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's SAEs on each of its prompt sets."""
    for prompts in section["prompts"]:
        for row in learned(config, section):
            yield {**row, PROMPTS: prompts}


def upstream(config: Config, section: Config) -> Iterator[Row]:
    """Yield each SAE that has others after it, with these: all recipes at all later hooks."""
    rows = [
        row
        for row in learned(config, section)
        if config["saes"][row["sae"]].get("target") is None  # a transcoder replaces another hook
    ]
    for row in rows:
        later = [
            other
            for other in rows
            if (other["model"], other["seed"]) == (row["model"], row["seed"])
            and Hook.parse(row["hook"]) < Hook.parse(other["hook"])
        ]
        if later:
            yield {**row, OTHERS: later}
