"""What the reconstruction study asks of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from saeflow.config.amounts import check_amounts
from saeflow.config.base import MaybeItems
from saeflow.config.checks import check_saes, refer
from saeflow.config.sections import Place
from saeflow.errors import ConfigError
from saeflow.studies.reconstruction.controls.sizes import Sizes
from saeflow.studies.shuffled_section import ShuffledSection


class Section(ShuffledSection):
    """What a model loses when its activations are reconstructed."""

    SAE_KEYS: ClassVar[tuple[str, ...]] = ("saes", "context_saes", "control_saes")

    context_on: Place | None = None
    """Where SAEs are trained that see shorter contexts than `evaluate_on` has: how they do at
    positions that they never saw is held against those of `saes`. null for none."""
    context_saes: MaybeItems[str] = []
    """Names under `saes`, trained on `context_on`."""
    prompts: MaybeItems[str] = []
    """Names under `prompts`: what the model is asked with reconstructions in the place of
    activations."""
    ablate_on: MaybeItems[str] | None = None
    """Those of `prompts` on which features are ablated; the first of them by default."""
    scaling: Sizes = []
    """Models by size with their loss on the text of `evaluate_on`, {parameters, loss}, in nats per
    token; or the path of a CSV file with these columns. A loss with an SAE is then also said as the
    size of the model that has it. Empty for none."""

    @classmethod
    def check(cls, config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
        """Check that what is named is there, and that contexts are shorter where they should be."""
        super().check(config, section, where)
        for name in section["context_saes"]:
            refer(config, "saes", name, f"{where} > context_saes")
        for name in section["prompts"]:
            refer(config, "prompts", name, f"{where} > prompts")
        for name in section["ablate_on"] or ():
            if name not in section["prompts"]:
                raise ConfigError(
                    "features are ablated on prompts that the study does not ask",
                    where=f"{where} > ablate_on",
                    expected=" | ".join(section["prompts"]) or "nothing: the study has no prompts",
                    got=name,
                    remedy=f"Add {name} to `prompts`, or take it from `ablate_on`.",
                )
        place = section["context_on"]
        if (place is None) == bool(section["context_saes"]):
            raise ConfigError(
                "SAEs of shorter contexts need both a place and names",
                where=f"{where} > context_on",
                expected="context_on and context_saes, or neither",
                got=f"context_on {place}, context_saes {section['context_saes']}",
            )
        if place is None:
            return
        for part in ("dataset", "packing"):
            refer(config, f"{part}s", place[part], f"{where} > context_on > {part}")
        short, long = (
            config["packings"][packing]["context_length"]
            for packing in (place["packing"], section["evaluate_on"]["packing"])
        )
        if short >= long:
            raise ConfigError(
                "the contexts of context_on are not shorter than those of evaluate_on",
                where=f"{where} > context_on > packing",
                expected=f"a packing with context_length below {long}",
                got=short,
            )
        there = {**section, "saes": section["context_saes"], "train_on": place}
        check_saes(config, where, there)
        check_amounts(config, there, where.partition(" > ")[0])
