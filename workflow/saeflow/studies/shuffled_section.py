"""What a study is told of models whose weights mean nothing, and of SAEs on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saeflow.config.base import HookName, MaybeItems
from saeflow.config.checks import refer, refer_place
from saeflow.config.sections import Place, StudySection
from saeflow.errors import ConfigError


class ShuffledSection(StudySection):
    """A study that holds SAEs against those of shuffled models."""

    control_models: MaybeItems[str] = []
    """Names under `models` of shuffled ones, each of a model of the study: what SAEs make of
    activations that mean nothing is held against the real ones."""
    control_saes: MaybeItems[str] = []
    """The names among `saes` that are also trained on `control_models`."""
    control_hooks: MaybeItems[HookName] | None = None
    """The hooks among `hooks` where they are; null for all of them."""
    control_on: Place | None = None
    """Where they are trained and measured, with their like on the real models; null for `train_on`
    and `evaluate_on`. Fewer tokens do for this."""

    @classmethod
    def check(cls, config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
        """Check that controls are shuffled models, and that what they are held against is there."""
        for name in section["control_models"]:
            refer(config, "models", name, f"{where} > control_models")
            own = config["models"][name].get("shuffle")
            if own not in section["models"]:
                raise ConfigError(
                    "a control is to be a shuffled model of one that the study has",
                    where=f"{where} > control_models",
                    expected="a model with shuffle: one of " + ", ".join(section["models"]),
                    got=f"{name}, " + (f"shuffle: {own}" if own else "which is not shuffled"),
                )
        if place := section["control_on"]:
            refer_place(config, place, f"{where} > control_on")
        for key, among in (("control_saes", "saes"), ("control_hooks", "hooks")):
            for name in section[key] or ():
                if name not in section[among]:
                    raise ConfigError(
                        "what is held against a control must be in the study",
                        where=f"{where} > {key}",
                        expected=f"some of `{among}`: " + ", ".join(section[among]),
                        got=name,
                    )
        if bool(section["control_models"]) != bool(section["control_saes"]):
            raise ConfigError(
                "controls need both models and SAEs",
                where=f"{where} > control_models",
                expected="control_models and control_saes, or neither",
                got=f"{section['control_models']} and {section['control_saes']}",
            )
