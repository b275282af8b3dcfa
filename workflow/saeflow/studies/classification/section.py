"""What the classification study asks of a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from saeflow.config.base import HookName, Items, MaybeItems
from saeflow.config.checks import check_among, check_trained_elsewhere, refer
from saeflow.config.sections import Place
from saeflow.studies.shuffled_section import ShuffledSection


class Section(ShuffledSection):
    """Whether sparse codes classify as well as states."""

    SAE_KEYS: ClassVar[tuple[str, ...]] = (
        "saes", "in_domain_saes", "erase_with", "fact_saes", "control_saes",
    )  # fmt: skip

    labelled: Items[str]
    """Names under `labelled`: the texts that are classified."""
    state_hooks: MaybeItems[HookName] = []
    """Further hooks whose states are probed, without SAEs there."""
    in_domain_on: Place | None = None
    """Where SAEs are trained on text like the labelled one. null for none."""
    in_domain_against: Place | None = None
    """Where those of the same recipes are trained that they are held against; null for `train_on`.
    As many tokens of other text make it a comparison of texts alone."""
    in_domain_saes: MaybeItems[str] = []
    """Names under `saes`, trained on `in_domain_on` and on `in_domain_against`."""
    in_domain_hooks: MaybeItems[HookName] | None = None
    """The hooks among `hooks` where they are; null for all of them."""
    erase_with: MaybeItems[str] | None = None
    """The names among `saes` with whose features concepts are removed; null for all of them."""
    fact_saes: MaybeItems[str] | None = None
    """Names under `saes`: their features are held against what is known of each token of
    `evaluate_on`, where that is generated; null for all of `saes`."""

    @classmethod
    def check(cls, config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
        """Check that what is named is there, and that SAEs of the domain have one."""
        super().check(config, section, where)
        for name in section["labelled"]:
            refer(config, "labelled", name, f"{where} > labelled")
        for name in section["fact_saes"] or ():
            refer(config, "saes", name, f"{where} > fact_saes")
        check_among(section, {"erase_with": "saes", "in_domain_hooks": "hooks"}, where)
        own = {"saes": "in_domain_saes", "what": "SAEs of the texts' own domain"}
        if not check_trained_elsewhere(config, where, section, on="in_domain_on", **own):
            return
        if section["in_domain_against"] is not None:
            check_trained_elsewhere(config, where, section, on="in_domain_against", **own)
