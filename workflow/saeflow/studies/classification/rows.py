"""What the study measures where: hooks and SAEs on labelled texts, SAEs on text of known facts."""

from __future__ import annotations

from collections.abc import Iterator

from saeflow.studies.study import LABELLED, Config, Row, every_sae


def at_hooks(config: Config, section: Config) -> Iterator[Row]:  # noqa: ARG001
    """Yield each hook on each of the labelled texts."""
    for labelled in section["labelled"]:
        for model in section["models"]:
            for hook in dict.fromkeys([*section["hooks"], *section["state_hooks"]]):
                yield {"model": model, "hook": hook, LABELLED: labelled}


def on_labelled(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's SAEs on each of the labelled texts."""
    for labelled in section["labelled"]:
        for row in every_sae(config, section):
            yield {**row, LABELLED: labelled}


def of_domain(config: Config, section: Config) -> Iterator[Row]:
    """Yield SAEs of the texts' own domain, and of the same recipes those of other text."""
    hooks = section["in_domain_hooks"]
    there = section if hooks is None else {**section, "hooks": hooks}
    places = (section["in_domain_against"] or section["train_on"], section["in_domain_on"])
    for labelled in section["labelled"]:
        for place in places:
            for row in every_sae(config, there, saes=section["in_domain_saes"], train_on=place):
                yield {**row, LABELLED: labelled}


def erased(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs with which concepts are removed, on each of the labelled texts.

    Transcoders are not among them: their features are no parts of what they read.
    """
    names = [
        name
        for name in (section["saes"] if section["erase_with"] is None else section["erase_with"])
        if config["saes"][name.partition("~")[0]].get("target") is None
    ]
    for labelled in section["labelled"]:
        for row in every_sae(config, section, saes=names):
            yield {**row, LABELLED: labelled}
