"""How good the language models are: those of the studies that were trained on the built-in world.

Made whenever there are such models, since what an SAE finds cannot be better than its model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saeflow.plan.job import Job
from saeflow.plan.plan import Plan

TABLES: dict[str, tuple[str, ...]] = {"language_model": ("benchmarks",)}

RESAMPLED = ()

OF_NO_ROW = ()

FIGURES: dict[str, str] = {"language_model": "language_model"}


def tables(config: Mapping[str, Any]) -> list[str]:  # noqa: ARG001
    """Return the tables that have something to show in a configuration."""
    return list(TABLES)


def figures(config: Mapping[str, Any]) -> list[str]:  # noqa: ARG001
    """Return the figures that have something to show in a configuration."""
    return list(FIGURES)


def rows(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield model, dataset and packing of each model of a study that knew the world's words."""
    used = {name for study in config["studies"].values() for name in study["models"]}
    for model in sorted(used):
        entry = config["models"][model.partition("@")[0]]
        dataset = entry.get("train", {}).get("dataset")
        if dataset and "generate" in config["datasets"][dataset]:
            yield {"model": model, "dataset": dataset, "packing": entry["train"]["packing"]}


def records(plan: Plan, kind: str) -> tuple[Job, ...]:
    """Return the jobs whose records the tables read, one per row."""
    return tuple(getattr(plan, kind)(**row) for row in rows(plan.config))
