"""From a configuration to its results: which exist, what each reads, what is in its identity.

`Plan` is the whole chain in plain Python, from sources to measurements. `saeflow.plan.outputs` adds
what people look at, `saeflow.plan.passes` says which jobs make it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saeflow import paths
from saeflow.config.recipes import target_hook
from saeflow.errors import ConfigError
from saeflow.hooks import joined_places
from saeflow.metrics.registry import MEASURES
from saeflow.plan.imports import imported_sae
from saeflow.plan.modules import architecture_modules, training_modules, tuning_modules
from saeflow.plan.result import Result
from saeflow.plan.sources import Sources
from saeflow.sae.formats import is_imported

_LIVE = ("saeflow.activations.calibration", "saeflow.activations.live")
_OF_EACH = ("trained_on", "others", "gate", "codes")
"""What a measure reads that is each SAE's own."""

_OF_A_HOOK = {"activations", "states"}
"""What tells of which hook it is, where a measure reads it."""

GATE = "gate"
"""The measure that SAEs from elsewhere have to pass."""

_OTHER = "other_"
"""What the inputs of the second SAE of a pair begin with."""

OF_A_MODEL = "model"
"""In the place of the hook where a measurement is of a language model, or of all its hooks."""


class Plan(Sources):
    """The results of one configuration, from its sources to the measurements."""

    def activations(self, model: str, dataset: str, packing: str, hook: str) -> Result:
        """Return the stored activations of one hook, or what says how to compute them.

        What computes live activations counts for the result that describes them, and so for all
        that read them.
        """
        stored = self.config["activations"]

        def build() -> Result:
            place = {"model": model, "dataset": dataset, "packing": packing}
            names = ("dtype", "batch_tokens", "shard_rows", "live")  # what can change its bytes
            return Result(
                rule="harvest",
                place=place,
                output=paths.fill(paths.ACTIVATIONS, **place, hook=hook),
                settings={**{name: stored[name] for name in names}, "hook": hook},
                inputs={
                    "model": self.model(model),
                    "tokens": self.tokens(self.tokenizer_name(model), dataset, packing),
                },
                code_roots=_LIVE if stored["live"] else (),
                suffix=".zarr",
            )

        return self._once(("activations", model, dataset, packing, hook), build)

    # -- SAEs ---------------------------------------------------------------------------------

    def sae(
        self, model: str, dataset: str, packing: str, hook: str, sae: str, seed: int | str
    ) -> Result:
        """Return a trained SAE, an imported one, or a fine-tuned one (``parent~method``)."""
        place = {"model": model, "dataset": dataset, "packing": packing, "hook": hook}
        key = ("sae", *place.values(), sae, str(seed))
        return self._once(key, lambda: self._sae(place, sae, int(seed)))

    def _sae(self, place: Mapping[str, str], sae: str, seed: int) -> Result:
        output = paths.fill(paths.SAE, **place, sae=sae, seed=seed)
        name, _, method = sae.partition("~")
        recipe = self._entry("saes", name)
        if method:
            return self._finetuned(
                place, output, recipe, name, self._entry("methods", method), seed
            )
        if is_imported(recipe):
            where = f"{self.file} > saes > {name}"
            model = self.model(place["model"])
            return imported_sae(recipe, output, place=place, model=model, seed=seed, where=where)
        settings, inputs = {**recipe, "seed": seed}, {"activations": self.activations(**place)}
        if target := self._target(recipe, place):
            settings["target"], inputs["target"] = target.settings["hook"], target
        if joined := self._joined(recipe, place):  # of which models is told by what is read
            settings["joined"] = [one.settings["hook"] for one in joined.values()]
            inputs |= joined
        return Result(
            rule="train_saes",
            place=place,
            output=output,
            settings=settings,
            inputs=inputs,
            code_roots=training_modules(recipe),
            suffix="",
        )

    def _finetuned(
        self,
        place: Mapping[str, str],
        output: Any,
        recipe: Mapping[str, Any],
        parent: str,
        tuning: Mapping[str, Any],
        seed: int,
    ) -> Result:
        inputs = {
            "activations": self.activations(**place),
            "parent": self.sae(**place, sae=parent, seed=seed),
        }
        if tuning["solver"] == "kl_mse":
            model, on = place["model"], (place["dataset"], place["packing"])
            inputs["model"] = self.model(model)
            inputs["tokens"] = self.tokens(self.tokenizer_name(model), *on)
        return Result(
            rule="finetune_saes",
            place=place,
            output=output,
            settings=tuning,
            inputs=inputs,
            code_roots=tuning_modules(recipe, tuning),
            suffix="",
        )

    def _target(self, recipe: Mapping[str, Any], place: Mapping[str, str]) -> Result | None:
        """Return the activations that a transcoder predicts."""
        if recipe.get("target") is None:
            return None
        return self.activations(**{**place, "hook": target_hook(place["hook"], recipe["target"])})

    def _joined(self, recipe: Mapping[str, Any], place: Mapping[str, str]) -> dict[str, Result]:
        """Return the activations that a crosscoder reads beside those of its hook."""
        places = joined_places(place["model"], recipe.get("joined"))
        return {
            f"joined_{number:02}": self.activations(**{**place, "model": model, "hook": hook})
            for number, (model, hook) in enumerate(places, 1)
        }

    # -- measurements -------------------------------------------------------------------------

    def measurement(
        self,
        measure: str,
        *,
        eval_dataset: str,
        eval_packing: str,
        others: Iterable[Mapping[str, Any]] = (),
        **sae: Any,
    ) -> Result:
        """Return the sums that a measure adds up for an SAE on a dataset's test split.

        Parameters
        ----------
        measure
            A name in `saeflow.metrics.registry.MEASURES`.
        eval_dataset, eval_packing
            What to measure on; for prompts and labelled texts their name, and one of
            `saeflow.paths.NOT_PACKED`.
        others
            The wildcards of other SAEs that are read too.
        **sae
            The wildcards of `sae`.
        """
        on = {"eval_dataset": eval_dataset, "eval_packing": eval_packing}

        def build() -> Result:
            recipe = self._entry("saes", sae["sae"].partition("~")[0])
            made = self.sae(**sae)
            inputs = self._read_by(measure, recipe, {**sae, **on})
            together = MEASURES[measure].together
            place = _place(measure, sae["model"], sae["hook"], on)
            if gate := self._gate(measure, recipe, sae, on):
                inputs["gate"] = gate
            modules = architecture_modules(recipe)
            if others:
                inputs["others"] = tuple(self.sae(**other) for other in others)
                names = {other["sae"].partition("~")[0] for other in others}
                recipes = (self._entry("saes", name) for name in sorted(names))
                modules = (*modules, *(m for one in recipes for m in architecture_modules(one)))
            return Result(
                rule="measure",
                place=place,
                output=paths.fill(paths.MEASUREMENT, **sae, **on, measure=measure),
                settings=self._measuring(measure),
                inputs={"sae": made, **inputs},
                code_roots=(MEASURES[measure].compute, *dict.fromkeys(modules)),
                suffix="",
                apart=() if together else _shared(inputs),
            )

        names = tuple(str(value) for value in sae.values())
        return self._once((measure, *names, *on.values()), build)

    def _gate(
        self,
        measure: str,
        recipe: Mapping[str, Any],
        sae: Mapping[str, Any],
        on: Mapping[str, str],
    ) -> Result | None:
        """Return what an SAE from elsewhere has to pass before anything else is measured of it.

        It is asked on the texts that its path names, for all measurements; on those of ``on`` where
        these have no test split.
        """
        asked = measure != GATE and self.config["measures"][GATE] is not None
        if not (asked and is_imported(recipe)) or recipe.get("target") is not None:
            return None
        if self._has_split(sae["dataset"], sae["packing"], "test"):
            on = {"eval_dataset": sae["dataset"], "eval_packing": sae["packing"]}
        elif on["eval_packing"] in paths.NOT_PACKED:
            return None
        return self.measurement(GATE, **{**sae, "sae": sae["sae"].partition("~")[0]}, **on)

    def measurement_of_model(
        self, measure: str, *, model: str, eval_dataset: str, eval_packing: str
    ) -> Result:
        """Return the sums that a measure adds up for a language model itself."""
        on = {"eval_dataset": eval_dataset, "eval_packing": eval_packing}

        def build() -> Result:
            return Result(
                rule="measure",
                place={"measure": measure, "model": model, "hook": OF_A_MODEL, **on},
                output=paths.fill(paths.MEASUREMENT_OF_MODEL, model=model, **on, measure=measure),
                settings=self._measuring(measure),
                inputs=self._read_by(measure, {}, {"model": model, **on}),
                code_roots=(MEASURES[measure].compute,),
                suffix="",
            )

        return self._once((measure, model, *on.values()), build)

    def measurement_of_hook(
        self, measure: str, *, model: str, hook: str, eval_dataset: str, eval_packing: str
    ) -> Result:
        """Return the sums that a measure adds up for a hook of a language model."""
        on = {"eval_dataset": eval_dataset, "eval_packing": eval_packing}

        def build() -> Result:
            of = {"model": model, "hook": hook, **on}
            told = {} if _OF_A_HOOK & {*MEASURES[measure].reads} else {"hook": hook}
            return Result(
                rule="measure",
                place=_place(measure, model, hook, on),
                output=paths.fill(paths.MEASUREMENT_OF_HOOK, **of, measure=measure),
                settings={**self._measuring(measure), **told},
                inputs=self._read_by(measure, {}, of),
                code_roots=(MEASURES[measure].compute,),
                suffix="",
            )

        return self._once((measure, model, hook, *on.values()), build)

    def measurement_of_pair(
        self, measure: str, *, eval_dataset: str, eval_packing: str, **pair: Any
    ) -> Result:
        """Return what a measure makes of two SAEs.

        Parameters
        ----------
        measure
            One of pairs.
        eval_dataset, eval_packing
            What to measure on.
        **pair
            The wildcards of the first SAE, and of the second by the names in `saeflow.paths.WITH`.
        """
        on = {"eval_dataset": eval_dataset, "eval_packing": eval_packing}

        def build() -> Result:
            inputs: dict[str, Result] = {}
            modules: list[str] = []
            for prefix, names in (("", {name: name for name in paths.WITH}), (_OTHER, paths.WITH)):
                sae = {name: pair[wildcard] for name, wildcard in names.items()}
                recipe = self._entry("saes", sae["sae"].partition("~")[0])
                read = {"sae": self.sae(**sae), **self._read_by(measure, recipe, {**sae, **on})}
                own = {name: one for name, one in read.items() if inputs.get(name) is not one}
                inputs |= {prefix + name: one for name, one in own.items()}  # the rest is shared
                modules += architecture_modules(recipe)
            return Result(
                rule="measure",
                place=_place(measure, pair["model"], pair["hook"], on),
                output=paths.fill(paths.MEASUREMENT_OF_PAIR, **pair, **on, measure=measure),
                settings=self._measuring(measure),
                inputs=inputs,
                code_roots=(MEASURES[measure].compute, *dict.fromkeys(modules)),
                suffix="",
            )

        names = (pair[wildcard] for wildcard in (*paths.WITH, *paths.WITH.values()))
        return self._once((measure, *map(str, names), *on.values()), build)

    def _read_by(
        self, measure: str, recipe: Mapping[str, Any], of: Mapping[str, Any]
    ) -> dict[str, Result]:
        """Return what a measure reads besides the SAE; the inputs of one pass are the same."""
        model, on = of["model"], (of["eval_dataset"], of["eval_packing"])
        inputs: dict[str, Result] = {}
        for name in MEASURES[measure].reads:
            if name == "activations":
                inputs |= self._stores(recipe, of, *on)
            elif name == "fitted":
                if not self._has_split(*on, "train"):
                    names = ("fitted", "fitted_target")
                    inputs |= self._stores(recipe, of, of["dataset"], of["packing"], names)
            elif name == "model":
                inputs["model"] = self.model(model)
            elif name == "tokens":
                inputs["tokens"] = self.tokens(self.tokenizer_name(model), *on)
            elif name == "tokenizer":
                inputs["tokenizer"] = self.tokenizer(self.tokenizer_name(model))
            elif name == "dataset":
                inputs["dataset"] = self.dataset(on[0])
            elif name == "prompts":
                inputs["prompts"] = self.prompts(on[0])
            elif name == "trained_on":
                if of["dataset"] == on[0] and not is_imported(recipe):
                    trained = (of["dataset"], of["packing"])
                    inputs["trained_on"] = self.tokens(self.tokenizer_name(model), *trained)
            elif name == "labelled":
                inputs["labelled"] = self.labelled(on[0])
            elif name == "states":
                place = {"eval_dataset": on[0], "eval_packing": on[1]}
                of_hook = {"model": model, "hook": of["hook"], **place}
                inputs["states"] = self.measurement_of_hook("states", **of_hook)
            elif name == "clean":
                target = recipe.get("target")
                hook = of["hook"] if target is None else target_hook(of["hook"], target)
                place = {"eval_dataset": on[0], "eval_packing": on[1]}
                inputs["clean"] = self.measurement_of_hook("clean", model=model, hook=hook, **place)
            elif name == "codes":
                inputs["codes"] = self.measurement("codes", **of)
            elif name == "answers":
                inputs["answers"] = self.measurement("answers", **of)
            elif name == "others":
                pass  # a row names them
            else:
                raise ValueError(f"the measure '{measure}' reads '{name}', which nothing gives")
        return inputs

    def _stores(
        self,
        recipe: Mapping[str, Any],
        of: Mapping[str, Any],
        dataset: str,
        packing: str,
        names: tuple[str, str] = ("activations", "target"),
    ) -> dict[str, Result]:
        """Return the activations of a place, and what transcoders and crosscoders read besides."""
        place = {"model": of["model"], "dataset": dataset, "packing": packing, "hook": of["hook"]}
        found = (self.activations(**place), self._target(recipe, place))
        stores = {name: one for name, one in zip(names, found, strict=True) if one is not None}
        return stores | self._joined(recipe, place)

    def _has_split(self, dataset: str, packing: str, split: str) -> bool:
        limit = self._entry("packings", packing)["tokens"][split]
        return limit != 0 and self._entry("datasets", dataset)["splits"][split] > 0

    def _measuring(self, measure: str) -> dict[str, Any]:
        """Return the settings of a measure."""
        section = MEASURES[measure].settings
        own = self.config["measures"].get(section, {})
        if own is None:
            raise ConfigError(
                f"this configuration leaves out the measure '{measure}'",
                where=f"{self.file} > measures > {section}",
                remedy="Give it {}, or its settings.",
            )
        ignored = MEASURES[measure].ignores
        return {"measure": measure, **{k: v for k, v in own.items() if k not in ignored}}

    @property
    def resampling(self) -> dict[str, int]:
        """The settings of intervals."""
        return {name: self.config["measures"][name] for name in ("bootstrap", "seed")}


def _place(measure: str, model: str, hook: str, on: Mapping[str, str]) -> dict[str, str]:
    """Return the place of the pass in which a hook, or an SAE of it, is measured."""
    place = {"measure": measure, "model": model, "hook": hook, **on}
    if MEASURES[measure].together:
        place["hook"] = OF_A_MODEL
        if on["eval_packing"] in paths.NOT_PACKED:  # all of them in one pass
            place["eval_dataset"] = on["eval_packing"]
    return place


def _shared(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what the SAEs of one pass are measured on: the same for all of them."""
    return tuple(str(one.output) for name, one in inputs.items() if name not in _OF_EACH)
