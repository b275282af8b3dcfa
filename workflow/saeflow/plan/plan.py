"""From a configuration to its results: which exist, what each reads, what is in its identity.

`Plan` is the whole chain in plain Python, from sources to measurements. `saeflow.plan.outputs` adds
what people look at, `saeflow.plan.passes` says which jobs make it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from saeflow import paths
from saeflow.config.recipes import target_hook
from saeflow.errors import ConfigError
from saeflow.hooks import joined_places
from saeflow.metrics.registry import MEASURES
from saeflow.plan.imports import imported_sae
from saeflow.plan.modules import architecture_modules, training_modules, tuning_modules
from saeflow.plan.result import Result
from saeflow.plan.sources import Sources, once
from saeflow.sae.formats import is_imported

_LIVE = ("saeflow.activations.calibration", "saeflow.activations.live")
_OF_EACH = ("sae", "trained_on", "gate", "codes")
"""What a measure reads that is each SAE's own."""

_OF_A_HOOK = {"activations", "states"}
"""What tells of which hook it is, where a measure reads it."""

GATE = "gate"
"""The measure that SAEs from elsewhere have to pass."""

_OTHER = "other_"
"""What the inputs of the second SAE of a pair begin with."""

_SAE = tuple(paths.WITH)
_WILDCARDS = {
    "model": ("model",),
    "hook": ("model", "hook"),
    "sae": _SAE,
    "pair": (*_SAE, *paths.WITH.values()),
}
"""What tells of which model, hook, SAE or pair a measurement is."""

OF_A_MODEL = "model"
"""In the place of the hook where a measurement is of a language model, or of all its hooks."""


class Plan(Sources):
    """The results of one configuration, from its sources to the measurements."""

    @once
    def activations(self, model: str, dataset: str, packing: str, hook: str) -> Result:
        """Return the stored activations of one hook, or what says how to compute them.

        What computes live activations counts for the result that describes them, and so for all
        that read them.
        """
        stored = self.config["activations"]
        place = {"model": model, "dataset": dataset, "packing": packing}
        names = ("dtype", "batch_tokens", "shard_rows", "live")  # what can change its bytes
        return Result(
            rule="harvest",
            place=place,
            output=paths.fill(paths.ACTIVATIONS, **place, hook=hook),
            settings={**{name: stored[name] for name in names}, "hook": hook},
            inputs={"model": self.model(model), "tokens": self.tokens_of(**place)},
            code_roots=_LIVE if stored["live"] else (),
            suffix=".zarr",
        )

    # -- SAEs ---------------------------------------------------------------------------------

    @once
    def sae(
        self, model: str, dataset: str, packing: str, hook: str, sae: str, seed: int | str
    ) -> Result:
        """Return a trained SAE, an imported one, or a fine-tuned one (``parent~method``)."""
        place = {"model": model, "dataset": dataset, "packing": packing, "hook": hook}
        output, seed = paths.fill(paths.SAE, **place, sae=sae, seed=int(seed)), int(seed)
        name, _, method = sae.partition("~")
        recipe = self._entry("saes", name)
        if is_imported(recipe) and not method:
            where, of = f"{self.file} > saes > {name}", self.model(model)
            return imported_sae(recipe, output, place=place, model=of, seed=seed, where=where)
        inputs = {"activations": self.activations(**place)}
        if method:
            settings = self._entry("methods", method)
            inputs["parent"] = self.sae(**place, sae=name, seed=seed)
            if settings["solver"] == "kl_mse":
                inputs["model"] = self.model(model)
                inputs["tokens"] = self.tokens_of(model, dataset, packing)
        else:
            settings = {**recipe, "seed": seed}
            if target := self._target(recipe, place):
                settings["target"], inputs["target"] = target.settings["hook"], target
            if joined := self._joined(recipe, place):  # of which models is told by what is read
                settings["joined"] = [one.settings["hook"] for one in joined.values()]
                inputs |= joined
        return Result(
            rule="finetune_saes" if method else "train_saes",
            place=place,
            output=output,
            settings=settings,
            inputs=inputs,
            code_roots=tuning_modules(recipe, settings) if method else training_modules(recipe),
            suffix="",
        )

    def _target(self, recipe: Mapping[str, Any], place: Mapping[str, str]) -> Result | None:
        """Return the activations that a transcoder predicts."""
        if recipe.get("target") is None:
            return None
        return self.activations(**{**place, "hook": _predicted(recipe, place)})

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
        **of: Any,
    ) -> Result:
        """Return the sums that a measure adds up on a dataset's test split.

        Parameters
        ----------
        measure
            A name in `saeflow.metrics.registry.MEASURES`.
        eval_dataset, eval_packing
            What to measure on; for prompts and labelled texts their name, and one of
            `saeflow.paths.NOT_PACKED`.
        others
            The wildcards of other SAEs that are read too, where it is of an SAE.
        **of
            The wildcards of an SAE, of a pair those of the second besides, by the names in
            `saeflow.paths.WITH`; of a hook or a model its own are enough.
        """
        on = {"eval_dataset": eval_dataset, "eval_packing": eval_packing}
        of = {name: of[name] for name in _WILDCARDS[MEASURES[measure].of]}
        key = (measure, *map(str, of.values()), *on.values())
        return self._once(key, lambda: self._measurement(measure, of, on, tuple(others)))

    def _measurement(
        self,
        measure: str,
        of: Mapping[str, Any],
        on: Mapping[str, str],
        others: tuple[Mapping[str, Any], ...],
    ) -> Result:
        about = MEASURES[measure]
        sides = {"": {name: of[name] for name in paths.WITH if name in of}}
        if about.of == "pair":
            sides[_OTHER] = {name: of[wildcard] for name, wildcard in paths.WITH.items()}
        inputs: dict[str, Any] = {}
        modules: list[str] = []
        for prefix, one in sides.items():
            recipe, read = {}, {}
            if "sae" in one:
                recipe = self._entry("saes", one["sae"].partition("~")[0])
                read["sae"] = self.sae(**one)
                modules += architecture_modules(recipe)
            read |= self._read_by(measure, recipe, {**one, **on})
            own = {name: result for name, result in read.items() if inputs.get(name) is not result}
            inputs |= {prefix + name: result for name, result in own.items()}  # the rest is shared
        settings = self._measuring(measure)
        if about.of == "hook" and not _OF_A_HOOK & {*about.reads}:
            settings["hook"] = of["hook"]
        apart = ()
        if about.of == "sae":
            if gate := self._gate(measure, recipe, of, on):
                inputs["gate"] = gate
            if not about.together:  # those of one pass are measured on the same
                shared = (str(one.output) for name, one in inputs.items() if name not in _OF_EACH)
                apart = tuple(shared)
            if others:
                inputs["others"] = tuple(self.sae(**other) for other in others)
                for name in sorted({other["sae"].partition("~")[0] for other in others}):
                    modules += architecture_modules(self._entry("saes", name))
        return Result(
            rule="measure",
            place=_place(measure, of, on),
            output=paths.fill(paths.MEASUREMENTS[about.of], **of, **on, measure=measure),
            settings=settings,
            inputs=inputs,
            code_roots=(about.compute, *dict.fromkeys(modules)),
            suffix="",
            apart=apart,
        )

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

    def _read_by(
        self, measure: str, recipe: Mapping[str, Any], of: Mapping[str, Any]
    ) -> dict[str, Result]:
        """Return what a measure reads besides the SAE; the inputs of one pass are the same."""
        model, on = of["model"], (of["eval_dataset"], of["eval_packing"])
        place = (of.get("dataset"), of.get("packing"))
        here = not is_imported(recipe) and place[0] == on[0]
        fitted = ("fitted", "fitted_target")
        find: dict[str, Callable[[], Result | dict[str, Result]]] = {
            "activations": lambda: self._stores(recipe, of, *on),
            "fitted": lambda: (
                {} if self._has_split(*on, "train") else self._stores(recipe, of, *place, fitted)
            ),
            "model": lambda: self.model(model),
            "tokens": lambda: self.tokens_of(model, *on),
            "tokenizer": lambda: self.tokenizer(self.tokenizer_name(model)),
            "dataset": lambda: self.dataset(on[0]),
            "prompts": lambda: self.prompts(on[0]),
            "labelled": lambda: self.labelled(on[0]),
            "trained_on": lambda: self.tokens_of(model, *place) if here else {},
            "states": lambda: self.measurement("states", **of),
            "clean": lambda: self.measurement("clean", **{**of, "hook": _predicted(recipe, of)}),
            "codes": lambda: self.measurement("codes", **of),
            "answers": lambda: self.measurement("answers", **of),
            "others": dict,  # a row names them
        }
        inputs: dict[str, Result] = {}
        for name in MEASURES[measure].reads:
            found = find[name]()
            inputs |= {name: found} if isinstance(found, Result) else found
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


def _predicted(recipe: Mapping[str, Any], of: Mapping[str, Any]) -> str:
    """Return the hook whose activations an SAE gives: of a transcoder another one than it reads."""
    target = recipe.get("target")
    return of["hook"] if target is None else target_hook(of["hook"], target)


def _place(measure: str, of: Mapping[str, Any], on: Mapping[str, str]) -> dict[str, str]:
    """Return the place of the pass in which a model, a hook, or an SAE of it, is measured."""
    place = {"measure": measure, "model": of["model"], "hook": of.get("hook", OF_A_MODEL), **on}
    if MEASURES[measure].together:
        place["hook"] = OF_A_MODEL
        if on["eval_packing"] in paths.NOT_PACKED:  # all of them in one pass
            place["eval_dataset"] = on["eval_packing"]
    return place
