"""The suppression study: which SAEs it has, and which measures each of its tables reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from saeflow.plan.job import Job
from saeflow.plan.plan import Plan

TABLES: dict[str, tuple[str, ...]] = {
    "l2_ratio": ("reconstruction",),
    "l0": ("reconstruction",),
    "mse_reduction": ("reconstruction",),
    "frontier": ("reconstruction", "language"),
    "metrics": ("reconstruction", "language"),
    "training_curves": ("sae",),
}
"""What a table reads for each SAE: its measures, or the SAE's own record."""

RESAMPLED = ("mse_reduction",)
"""The tables that form intervals of their own."""

FIGURES: dict[str, str] = {
    "l2_ratio_by_layer": "l2_ratio",
    "l0_by_method": "l0",
    "mse_reduction_by_method": "mse_reduction",
    "frontier_fvu": "frontier",
    "frontier_delta_ce": "frontier",
    "training_curves": "training_curves",
}
"""The table that a figure shows."""


def rows(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the SAEs of the study as the wildcards of an SAE's path, in a fixed order.

    Every recipe is trained at every hook with every seed; the ReLU ones are fine-tuned too.
    """
    study = config["studies"]["suppression"]
    place = study["train_on"]
    for model in study["models"]:
        for hook in study["hooks"]:
            for sae in study["saes"]:
                relu = config["saes"][sae]["architecture"] == "relu"
                tuned = [f"{sae}~{m}" for m in study["methods"]] if relu else []
                for seed in study["seeds"]:
                    for name in (sae, *tuned):
                        yield {
                            "model": model,
                            "dataset": place["dataset"],
                            "packing": place["packing"],
                            "hook": hook,
                            "sae": name,
                            "seed": seed,
                        }


def records(plan: Plan, kind: str) -> tuple[Job, ...]:
    """Return the jobs whose records the tables read, one per row."""
    if kind == "sae":
        return tuple(plan.sae(**row) for row in rows(plan.config))
    on = plan.config["studies"]["suppression"]["evaluate_on"]
    place = {"eval_dataset": on["dataset"], "eval_packing": on["packing"]}
    return tuple(plan.measure(kind, **place, **row) for row in rows(plan.config))
