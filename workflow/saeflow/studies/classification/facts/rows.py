"""Of which SAEs it can be asked which known facts their latents tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from saeflow.studies.shuffled import on_shuffled_models
from saeflow.studies.study import ON, Config, Row, every_sae

_SPLITS = ("validation", "test")


def known_facts(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs of ``fact_saes`` where something is known of the tokens of ``evaluate_on``."""
    saes = section["saes"] if section["fact_saes"] is None else section["fact_saes"]
    for row in every_sae(config, section, saes=saes):
        if tells_facts(config, row, section["evaluate_on"]):
            yield row


def known_facts_on_shuffled(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs on shuffled models, and their like on the real ones."""
    if section["control_models"]:
        for row in on_shuffled_models(config, section):
            if tells_facts(config, row, row.get(ON) or section["evaluate_on"]):
                yield row


def has_facts(config: Config, section: Config) -> bool:
    """Say whether there are such SAEs."""
    return next(known_facts(config, section), None) is not None


def has_shuffled(config: Config, section: Config) -> bool:
    """Say whether there are such SAEs on shuffled models."""
    return next(known_facts_on_shuffled(config, section), None) is not None


def tells_facts(config: Config, row: Row, on: Mapping[str, str]) -> bool:
    """Say whether an SAE reads words of a generated world, with splits to choose and to count on.

    A transcoder's decoder writes elsewhere than at the hook whose activations tell the facts.
    """
    dataset, tokens = config["datasets"][on["dataset"]], config["packings"][on["packing"]]["tokens"]
    splits = all(dataset["splits"][name] > 0 and tokens[name] != 0 for name in _SPLITS)
    recipe = config["saes"][row["sae"].partition("~")[0]]
    transcoder = recipe.get("target") is not None
    return "generate" in dataset and splits and not transcoder and _of_words(config, row["model"])


def _of_words(config: Config, model: str) -> bool:
    """Say whether a model's tokens are words: those of a tokenizer that is trained here."""
    entry = config["models"][model.partition("@")[0]]
    if "shuffle" in entry:
        return _of_words(config, entry["shuffle"])
    name = entry["train"]["tokenizer"] if "train" in entry else entry.get("tokenizer")
    return "train" in config["tokenizers"].get(name, {})
