"""From a configuration to its jobs: which exist, what each reads, what is in its identity.

`Plan` is the whole DAG in plain Python. Snakemake finds the same DAG through the rules' outputs
and asks the plan for each job's inputs; the command line asks it what a result should be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from saeflow import paths
from saeflow.errors import ConfigError
from saeflow.plan.imports import architecture_modules, import_job, is_imported
from saeflow.plan.job import Job
from saeflow.plan.sources import Sources
from saeflow.plan.training import target_of, training_job

MEASURES = {
    "reconstruction": (
        "cosine",
        "dead",
        "density",
        "fvu",
        "l0",
        "l2_ratio",
        "mse",
        "reconstruction_bias",
    ),
    "language": (
        "ce_loss",
        "ce_loss_mean",
        "ce_loss_sae",
        "ce_loss_zero",
        "ce_recovered_mean",
        "ce_recovered_zero",
        "delta_ce",
        "kl",
        "perplexity",
        "perplexity_sae",
    ),
    "probes": (
        "probe_accuracy",
        "probe_accuracy_chance",
        "probe_accuracy_codes",
        "probe_accuracy_sae",
        "probe_loss",
        "probe_loss_chance",
        "probe_loss_codes",
        "probe_loss_sae",
    ),
}
"""The metrics of each measure; a formula is in the identity of the measure that has it."""

_RECORDS = {
    "reconstruction": paths.RECONSTRUCTION,
    "language": paths.LANGUAGE,
    "probes": paths.PROBES,
}


class Plan(Sources):
    """The jobs of one configuration, from its sources to the measures."""

    def activations(self, model: str, dataset: str, packing: str, hook: str) -> Job:
        """Return the job that stores the activations of one hook, or says how to compute them.

        What computes live activations counts for the job that describes them, and so for all
        that read them.
        """
        is_live = self.config["activations"]["live"]

        def build() -> Job:
            return Job(
                rule="harvest_activations",
                output=paths.fill(
                    paths.ACTIVATIONS, model=model, dataset=dataset, packing=packing, hook=hook
                ),
                settings={**_stored(self.config["activations"]), "hook": hook},
                inputs={
                    "model": self.model(model),
                    "tokens": self.tokens(self.tokenizer_name(model), dataset, packing),
                },
                modules=("saeflow.activations.calibration",) if is_live else (),
                suffix=".zarr",
                shared_pass=("harvest", model, dataset, packing),
            )

        return self._once(("activations", model, dataset, packing, hook), build)

    def recipes(self, *, imported: bool) -> str:
        """Return a regular expression for the names of SAEs that are imported, or trained."""
        entries = self.config["saes"].items()
        names = [re.escape(name) for name, entry in entries if is_imported(entry) == imported]
        return "|".join(names) or r"(?!)"

    def sae(self, model: str, dataset: str, packing: str, hook: str, sae: str, seed: int) -> Job:
        """Return the job that trains an SAE, or fine-tunes one (``parent~method``)."""
        seed = int(seed)
        key = (model, dataset, packing, hook, sae, str(seed))
        return self._once(("sae", *key), lambda: self._sae(*key[:5], seed))

    def _sae(self, model: str, dataset: str, packing: str, hook: str, sae: str, seed: int) -> Job:
        place = dict(model=model, dataset=dataset, packing=packing, hook=hook)
        output = paths.fill(paths.SAE, **place, sae=sae, seed=seed)
        recipe, _, method = sae.partition("~")
        settings = self._entry("saes", recipe)
        modules = architecture_modules(settings)
        if is_imported(settings) and not method:
            where = f"{self.file} > saes > {recipe}"
            job = dict(model=self.model(model), hook=hook, seed=seed, where=where)
            return import_job(settings, output, **job)
        activations = self.activations(**place)
        if not method:
            return training_job(
                settings,
                output,
                place=place,
                seed=seed,
                activations=activations,
                target=self._target(settings, **place),
            )
        tuning = self._entry("methods", method)
        inputs = {"activations": activations, "parent": self.sae(**place, sae=recipe, seed=seed)}
        if tuning["solver"] == "kl_mse":
            inputs["model"] = self.model(model)
            inputs["tokens"] = self.tokens(self.tokenizer_name(model), dataset, packing)
        return Job(
            rule="finetune_sae",
            output=output,
            settings=tuning,
            inputs=inputs,
            modules=(
                *modules,
                f"saeflow.finetune.methods.{tuning['method']}",
                f"saeflow.finetune.solvers.{tuning['solver']}",
            ),
            suffix="",
            shared_pass=("finetune", tuning["solver"], *place.values()),
        )

    def _target(
        self, recipe: Mapping[str, Any], model: str, dataset: str, packing: str, hook: str
    ) -> Job | None:
        """Return the job with the activations that a transcoder predicts."""
        target = target_of(recipe, hook)
        return None if target is None else self.activations(model, dataset, packing, target)

    def measure(self, measure: str, *, eval_dataset: str, eval_packing: str, **sae: Any) -> Job:
        """Return the job that measures an SAE on a dataset's test split.

        Parameters
        ----------
        measure
            "reconstruction", "language" or "probes".
        eval_dataset, eval_packing
            What to measure on.
        **sae
            The wildcards of `sae`.
        """

        def build() -> Job:
            recipe = self._entry("saes", sae["sae"].partition("~")[0])
            on = dict(dataset=eval_dataset, packing=eval_packing)
            inputs, shared_pass = self._read_by(measure, recipe, sae, on)
            return Job(
                rule=f"measure_{measure}",
                output=paths.fill(
                    _RECORDS[measure], **sae, eval_dataset=eval_dataset, eval_packing=eval_packing
                ),
                settings=self._measuring(measure),
                inputs={"sae": self.sae(**sae), **inputs},
                modules=(
                    *architecture_modules(recipe),
                    *(f"saeflow.metrics.formulas.{name}" for name in MEASURES[measure]),
                ),
                suffix="",
                shared_pass=shared_pass,
            )

        names = tuple(str(value) for value in sae.values())
        return self._once((measure, *names, eval_dataset, eval_packing), build)

    def _read_by(
        self, measure: str, recipe: Mapping[str, Any], sae: Mapping[str, Any], on: Mapping[str, str]
    ) -> tuple[dict[str, Job], tuple[str, ...]]:
        """Return what a measure reads besides the SAE, and the key of the pass that it shares."""
        model, hook = sae["model"], sae["hook"]
        inputs = self._stores(recipe, model, hook, on)
        shared_pass = (measure, model, hook, *on.values())
        if measure == "language":
            inputs["model"] = self.model(model)
            inputs["tokens"] = self.tokens(self.tokenizer_name(model), **on)
        if measure == "probes" and not self._has_training_split(**on):
            place = dict(dataset=sae["dataset"], packing=sae["packing"])
            inputs |= self._stores(recipe, model, hook, place, ("fitted", "fitted_target"))
            shared_pass = (*shared_pass, *place.values())
        if "target" in inputs:
            shared_pass = (*shared_pass, target_of(recipe, hook))
        return inputs, shared_pass

    def _stores(
        self,
        recipe: Mapping[str, Any],
        model: str,
        hook: str,
        place: Mapping[str, str],
        names: tuple[str, str] = ("activations", "target"),
    ) -> dict[str, Job]:
        """Return the jobs with the activations of a place, and with what a transcoder predicts."""
        jobs = (
            self.activations(model=model, hook=hook, **place),
            self._target(recipe, model=model, hook=hook, **place),
        )
        return {name: job for name, job in zip(names, jobs, strict=True) if job is not None}

    def _has_training_split(self, dataset: str, packing: str) -> bool:
        limit = self._entry("packings", packing)["tokens"]["train"]
        return limit != 0 and self._entry("datasets", dataset)["splits"]["train"] > 0

    @property
    def resampling(self) -> dict[str, int]:
        """The settings of intervals."""
        return {name: self.config["measures"][name] for name in ("bootstrap", "seed")}

    def _measuring(self, measure: str) -> dict[str, Any]:
        """Return the settings of a measure."""
        probes = self.config["measures"]["probes"] if measure == "probes" else {}
        if probes is None:
            raise ConfigError(
                "this configuration measures no probes",
                where=f"{self.file} > measures > probes",
                remedy="Set it to {}, or to what probes are asked.",
            )
        return {**self.resampling, **probes, "metrics": list(MEASURES[measure])}

    def reconstruction(self, **wildcards: Any) -> Job:
        """Return the job that measures what an SAE reconstructs."""
        return self.measure("reconstruction", **wildcards)

    def language(self, **wildcards: Any) -> Job:
        """Return the job that measures the model with an SAE in place."""
        return self.measure("language", **wildcards)

    def probes(self, **wildcards: Any) -> Job:
        """Return the job that has probes read what an SAE reconstructs."""
        return self.measure("probes", **wildcards)

    def simulation(self, study: str) -> Job:
        """Return the job that trains the toys of a study's theory."""

        def build() -> Job:
            output = paths.fill(paths.SIMULATION, study=study)
            settings = self.config["studies"][study]["theory"]
            return Job(f"simulate_{study}", output, settings, files=(output.with_suffix(".csv"),))

        return self._once(("simulation", study), build)

    def benchmarks(self, model: str, dataset: str, packing: str) -> Job:
        """Return the job that scores a model on a generated dataset's prompt sets."""

        def build() -> Job:
            tokenizer = self.tokenizer_name(model)
            return Job(
                rule="measure_benchmarks",
                output=paths.fill(paths.BENCHMARKS, model=model, dataset=dataset, packing=packing),
                settings=self.resampling,
                inputs={
                    "model": self.model(model),
                    "tokenizer": self.tokenizer(tokenizer),
                    "dataset": self.dataset(dataset),
                    "tokens": self.tokens(tokenizer, dataset, packing),
                },
                suffix="",
            )

        return self._once(("benchmarks", model, dataset, packing), build)


def _stored(activations: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that can change a store's bytes."""
    names = ("dtype", "batch_tokens", "shard_rows", "live")
    return {name: activations[name] for name in names}
