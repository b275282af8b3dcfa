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
    "perplexity_recovery": ("language",),
    "language_change": ("language",),
    "probes": ("probes",),
    "probe_change": ("probes",),
    "reconstruction_bias": ("reconstruction",),
    "suppression_by_architecture": ("reconstruction", "sae"),
    "kept": ("reconstruction",),
    "frequencies": ("reconstruction",),
    "latents": ("reconstruction", "sae"),
    "correlations": ("reconstruction", "sae"),
    "shift": ("reconstruction", "sae"),
    "closed_form": ("reconstruction", "sae"),
    "published": ("reconstruction", "language", "sae"),
    "frontier": ("reconstruction", "language"),
    "metrics": ("reconstruction", "language"),
    "training_curves": ("sae",),
    "tuning_curves": ("sae",),
    "theory": ("simulation",),
}
"""What a table reads for each SAE: its measures, or the SAE's own record; else the toys."""

RESAMPLED = (
    "mse_reduction", "perplexity_recovery", "language_change", "probe_change", "closed_form",
    "shift",
)  # fmt: skip
"""The tables that form intervals of their own."""

OF_NO_ROW = ("theory",)
"""The tables that are about no SAE of the study."""

FIGURES: dict[str, str] = {
    "l2_ratio_by_layer": "l2_ratio",
    "l0_by_method": "l0",
    "mse_reduction_by_method": "mse_reduction",
    "perplexity_recovery_by_method": "perplexity_recovery",
    "language_change_by_method": "language_change",
    "probe_change_by_method": "probe_change",
    "frequencies": "frequencies",
    "activation_sums": "frequencies",
    "scaling_of_latents": "latents",
    "increase_of_latents": "latents",
    "rotation_of_latents": "latents",
    "correlations": "correlations",
    "scaling_and_theory": "latents",
    "shift_by_penalty": "shift",
    "theory": "theory",
    "tuning_curves": "tuning_curves",
    "closed_form_excess": "closed_form",
    "published_beside_ours": "published",
    "reconstruction_bias_by_layer": "reconstruction_bias",
    "suppression_by_architecture": "suppression_by_architecture",
    "frontier_fvu": "frontier",
    "frontier_delta_ce": "frontier",
    "training_curves": "training_curves",
}
"""The table that a figure shows."""


# What a table is about, where that is not every SAE.
_OF_TUNED = (
    "mse_reduction", "perplexity_recovery", "language_change", "probe_change", "kept", "latents",
    "correlations", "shift", "closed_form", "published", "tuning_curves",
)  # fmt: skip
_OF_DECODER = ("latents", "correlations", "shift")
_OF_PROBES = ("probes", "probe_change")


def tables(config: Mapping[str, Any]) -> list[str]:
    """Return the tables that have something to show in a configuration."""
    study = config["studies"]["suppression"]
    tuned = [name for name in study["saes"] if _is_tuned(config, name)]
    methods = [config["methods"][name] for name in study["methods"]] if tuned else []
    fitted = {(method["method"], method["solver"]) for method in methods}
    exact = {fit for fit, solver in fitted if solver == "exact"}
    absent: set[str] = set()
    if not fitted:
        absent.update(_OF_TUNED)
    if not {("decoder", "steps"), ("decoder", "exact")} & fitted:
        absent.update(_OF_DECODER)
    if not {fit for fit, solver in fitted if solver == "steps"} & exact:
        absent.add("closed_form")
    if not any(config["saes"][name].get("l1") for name in tuned):
        absent.add("shift")
    if config["measures"]["probes"] is None:
        absent.update(_OF_PROBES)
    return [name for name in TABLES if name not in absent]


def figures(config: Mapping[str, Any]) -> list[str]:
    """Return the figures that have something to show in a configuration."""
    shown = tables(config)
    names = [name for name, table in FIGURES.items() if table in shown]
    return [name for name in names if name != "scaling_and_theory" or "shift" in shown]


def rows(config: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the SAEs of the study as the wildcards of an SAE's path, in a fixed order.

    Every recipe is trained at every hook with every seed, and those under ``tune`` are fine-tuned
    by every method; without it, those of the ReLU architecture.
    """
    study = config["studies"]["suppression"]
    place = study["train_on"]
    for model in study["models"]:
        for hook in study["hooks"]:
            for sae in study["saes"]:
                tuned = [f"{sae}~{m}" for m in study["methods"]] if _is_tuned(config, sae) else []
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


def _is_tuned(config: Mapping[str, Any], sae: str) -> bool:
    tuned = config["studies"]["suppression"]["tune"]
    return config["saes"][sae].get("architecture") == "relu" if tuned is None else sae in tuned


def records(plan: Plan, kind: str) -> tuple[Job, ...]:
    """Return the jobs whose records the tables read, one per row; of the toys there is one."""
    if kind == "simulation":
        return (plan.simulation("suppression"),)
    if kind == "sae":
        return tuple(plan.sae(**row) for row in rows(plan.config))
    on = plan.config["studies"]["suppression"]["evaluate_on"]
    place = {"eval_dataset": on["dataset"], "eval_packing": on["packing"]}
    return tuple(plan.measure(kind, **place, **row) for row in rows(plan.config))
