"""The modules that SAEs load by name, and that are code of theirs. Read `training_modules`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saeflow import registry
from saeflow.config.recipes import wants_coefficient
from saeflow.finetune.methods import definition
from saeflow.sae.baselines import BASELINES


def architecture_modules(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that may compute an SAE: its architecture, or all of them."""
    name = entry.get("architecture")
    names = registry.names("sae.architectures") if name is None else [BASELINES.get(name, name)]
    return tuple(f"saeflow.sae.architectures.{one}" for one in names)


def training_modules(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that a training loads by name."""
    modules = list(architecture_modules(recipe))
    if recipe["architecture"] in BASELINES:
        modules.append(f"saeflow.sae.training.baseline:{recipe['architecture']}")
    modules += [f"saeflow.sae.penalties.{name}" for name in sorted(recipe.get("penalties", ()))]
    if recipe.get("resample_tokens") is not None:
        modules.append("saeflow.sae.training.resample")
    if wants_coefficient(recipe):
        modules.append("saeflow.sae.training.target_l0")
    if recipe.get("joined"):
        modules.append("saeflow.sae.training.joined")
    return tuple(modules)


def tuning_modules(recipe: Mapping[str, Any], tuning: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that a fine-tuning of an SAE of some recipe loads by name."""
    solver = f"saeflow.finetune.solvers.{tuning['solver']}"
    return (*architecture_modules(recipe), definition(tuning["method"]), solver)
