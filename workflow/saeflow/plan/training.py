"""The jobs that train SAEs, transcoders and baselines: `train_sae`. Read `training_job`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saeflow.config.recipes import BASELINES, target_hook
from saeflow.plan.imports import architecture_modules
from saeflow.plan.job import Job


def training_job(
    recipe: Mapping[str, Any],
    output: Path,
    *,
    place: Mapping[str, str],
    seed: int,
    activations: Job,
    target: Job | None,
) -> Job:
    """Return the job that trains an SAE.

    Parameters
    ----------
    recipe
        Under ``saes``, with defaults filled in.
    output
        The SAE's record.
    place
        Its model, dataset, packing and hook.
    seed
        Of its first weights.
    activations, target
        What it reads, and what a transcoder predicts.
    """
    settings, inputs = {**recipe, "seed": seed}, {"activations": activations}
    shared_pass = ("train", *place.values())
    if target is not None:
        settings["target"] = target_of(recipe, place["hook"])
        inputs["target"] = target
        shared_pass = (*shared_pass, settings["target"])
    return Job(
        rule="train_sae",
        output=output,
        settings=settings,
        inputs=inputs,
        modules=training_modules(recipe),
        suffix="",
        shared_pass=shared_pass,
    )


def target_of(recipe: Mapping[str, Any], hook: str) -> str | None:
    """Return the hook that a recipe predicts at ``hook``; None where it is the same."""
    target = recipe.get("target")
    return None if target is None else target_hook(hook, target)


def training_modules(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that a training loads by name."""
    modules = list(architecture_modules(recipe))
    if recipe["architecture"] in BASELINES:
        modules.append(f"saeflow.sae.baselines.{recipe['architecture']}")
    modules += [f"saeflow.sae.penalties.{name}" for name in sorted(recipe.get("penalties", ()))]
    if recipe.get("resample_tokens") is not None:
        modules.append("saeflow.sae.remedies.resample")
    return tuple(modules)
