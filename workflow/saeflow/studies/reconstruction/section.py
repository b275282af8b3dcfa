"""What the reconstruction study asks of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from saeflow.config.base import MaybeItems
from saeflow.config.checks import check_trained_elsewhere, refer
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
        own = {"on": "context_on", "saes": "context_saes", "what": "SAEs of shorter contexts"}
        if not check_trained_elsewhere(config, where, section, **own):
            return
        place = section["context_on"]
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
