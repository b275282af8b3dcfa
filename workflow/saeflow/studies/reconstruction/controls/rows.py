"""Which SAEs are held against those of models whose weights mean nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saeflow.config.checks import refer
from saeflow.errors import ConfigError
from saeflow.plan.imports import is_imported
from saeflow.studies.study import ON, Config, Row, every_sae


def on_shuffled_models(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs that are trained on shuffled models too, on these and on the real ones."""
    real = shuffled_of(config, section)["shuffled"]
    models = [*dict.fromkeys(real.values()), *real]
    hooks = section["hooks"] if section["control_hooks"] is None else section["control_hooks"]
    chosen = {**section, "models": models, "hooks": hooks}
    place, saes = section["control_on"], section["control_saes"]
    for row in every_sae(config, chosen, train_on=place, saes=saes):
        yield {**row, ON: place} if place else row


def imported(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's SAEs from elsewhere, measured on the texts that their paths name."""
    for row in every_sae(config, section):
        recipe = config["saes"][row["sae"]]
        if is_imported(recipe) and recipe.get("target") is None:
            yield {**row, ON: {"dataset": row["dataset"], "packing": row["packing"]}}


def shuffled_of(config: Config, section: Config) -> dict[str, dict[str, str]]:
    """Return the study's shuffled models, each with the model that it was made of."""
    return {
        "shuffled": {name: config["models"][name]["shuffle"] for name in section["control_models"]}
    }


def check_controls(config: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
    """Raise a `ConfigError` unless controls are shuffled models, and what they are held against is.

    Parameters
    ----------
    config, section, where
        As of `saeflow.config.sections.StudySection.check`.
    """
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
        for part in ("dataset", "packing"):
            refer(config, f"{part}s", place[part], f"{where} > control_on > {part}")
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
