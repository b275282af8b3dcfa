"""Models, tokenizers, datasets and tokens: everything before activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.config.checks import tokenizer_of
from saeflow.datasets.files import kind_of
from saeflow.errors import ConfigError
from saeflow.labelled.files import PATHS
from saeflow.plan.local import hash_key, hash_of, local_files
from saeflow.plan.result import Result, look_at_source


class Sources:
    """The first part of a plan: everything up to tokens.

    Parameters
    ----------
    config
        A configuration from `saeflow.config.checks.resolve`.
    file
        Name of its file, for messages.
    """

    def __init__(self, config: Mapping[str, Any], *, file: str = "config.yaml") -> None:
        look_at_source()
        self.config, self.file = config, file
        self._jobs: dict[tuple[str, ...], Result] = {}
        self._open: list[tuple[str, ...]] = []

    def _once(self, key: tuple[str, ...], build: Callable[[], Result]) -> Result:
        """Build each job once; a job that needs itself is an error of the configuration."""
        if key in self._open:
            chain = " -> ".join("/".join(k) for k in [*self._open, key])
            raise ConfigError(
                "an entry needs itself",
                where=self.file,
                got=chain,
                remedy="Change what one of them names.",
            )
        if key not in self._jobs:
            self._open.append(key)
            try:
                self._jobs[key] = build()
            finally:
                self._open.pop()
        return self._jobs[key]

    def _entry(self, section: str, name: str) -> Mapping[str, Any]:
        try:
            return self.config[section][name]
        except KeyError:
            raise ConfigError(
                f"there is no '{name}' under {section}",
                where=self.file,
                expected="one of " + ", ".join(self.config[section]),
            ) from None

    # -- models and tokenizers ---------------------------------------------------------------

    def model(self, model: str) -> Result:
        """Return a model: fetched, trained, one of its checkpoints, or a control of one."""
        return self._once(("model", model), lambda: self._model(model))

    def _model(self, model: str) -> Result:
        name, _, step = model.partition("@")
        entry = self._entry("models", name)
        if step:
            return self._alone(
                "select_checkpoint",
                paths.MODEL,
                {"model": model},
                {"step": int(step)},
                {"model": self.model(name)},
            )
        place = {"model": model}
        if "train" in entry:
            settings = dict(entry["train"])
            dataset, packing = settings.pop("dataset"), settings.pop("packing")
            tokenizer = settings.pop("tokenizer")
            inputs = {
                "tokens": self.tokens(tokenizer, dataset, packing),
                "tokenizer": self.tokenizer(tokenizer),
            }
            return self._alone("train_lm", paths.MODEL, place, settings, inputs)
        if "shuffle" in entry:
            settings = _without(entry, "shuffle")
            inputs = {"model": self.model(entry["shuffle"])}
            return self._alone("shuffle_model", paths.MODEL, place, settings, inputs)
        source = _without(entry, "tokenizer")
        where = f"{self.file} > models > {name}"
        return self._fetched("fetch_model", paths.MODEL, place, source, where)

    def tokenizer_name(self, model: str) -> str:
        """Return the name of the tokenizer that a model reads."""
        self._entry("models", model.partition("@")[0])  # raises where there is none
        return tokenizer_of(self.config, model)

    def tokenizer(self, tokenizer: str) -> Result:
        """Return a tokenizer: trained, or taken from a model."""
        return self._once(("tokenizer", tokenizer), lambda: self._tokenizer(tokenizer))

    def _tokenizer(self, tokenizer: str) -> Result:
        place = {"tokenizer": tokenizer}
        entry = self.config["tokenizers"].get(tokenizer, {"model": tokenizer})
        if "train" in entry:
            inputs = {"dataset": self.dataset(entry["train"])}
            return self._alone("train_tokenizer", paths.TOKENIZER, place, {}, inputs)
        inputs = {"model": self.model(entry["model"])}
        return self._alone("copy_tokenizer", paths.TOKENIZER, place, {}, inputs)

    # -- texts --------------------------------------------------------------------------------

    def dataset(self, dataset: str) -> Result:
        """Return a dataset."""
        return self._once(("dataset", dataset), lambda: self._dataset(dataset))

    def _dataset(self, dataset: str) -> Result:
        entry = dict(self._entry("datasets", dataset))
        place = {"dataset": dataset}
        if "generate" in entry:
            return self._alone("generate_dataset", paths.DATASET, place, entry)
        if "sample" in entry:
            sample = dict(entry["sample"])
            model = sample.pop("model")
            inputs = {
                "model": self.model(model),
                "tokenizer": self.tokenizer(self.tokenizer_name(model)),
            }
            settings = {**entry, "sample": sample}
            return self._alone("sample_dataset", paths.DATASET, place, settings, inputs)
        where = f"{self.file} > datasets > {dataset}"
        return self._fetched("fetch_dataset", paths.DATASET, place, entry, where)

    def prompts(self, prompts: str) -> Result:
        """Return a prompt set: read, or generated."""
        return self._once(("prompts", prompts), lambda: self._prompts(prompts))

    def _prompts(self, prompts: str) -> Result:
        entry, place = self._entry("prompts", prompts), {"prompts": prompts}
        if "generate" not in entry:
            where = f"{self.file} > prompts > {prompts}"
            return self._fetched("fetch_prompts", paths.PROMPTS, place, entry, where)
        return Result(
            rule="fetch_prompts",
            place=place,
            output=paths.fill(paths.PROMPTS, **place),
            settings=_without(entry, "dataset"),
            inputs={"dataset": self.dataset(entry["dataset"])} if "dataset" in entry else {},
            code_roots=(f"saeflow.prompts.{'world' if 'dataset' in entry else 'ioi'}",),
            suffix="",
        )

    def labelled(self, labelled: str) -> Result:
        """Return labelled texts: read, or generated."""
        return self._once(("labelled", labelled), lambda: self._labelled(labelled))

    def _labelled(self, labelled: str) -> Result:
        entry, place = dict(self._entry("labelled", labelled)), {"labelled": labelled}
        entry["name"] = labelled
        if "generate" not in entry:
            where = f"{self.file} > labelled > {labelled}"
            return self._fetched("fetch_labelled", paths.LABELLED, place, entry, where)
        world = self._entry("datasets", entry.pop("dataset"))["generate"]
        entry["world"] = {key: world[key] for key in ("seed", "n_prompts")}
        return Result(
            rule="fetch_labelled",
            place=place,
            output=paths.fill(paths.LABELLED, **place),
            settings=entry,
            inputs={},
            code_roots=("saeflow.labelled.world",),
            suffix="",
        )

    def tokens(self, tokenizer: str, dataset: str, packing: str) -> Result:
        """Return the job that cuts a dataset into sequences of tokens."""

        def build() -> Result:
            return self._alone(
                "tokenize_dataset",
                paths.TOKENS,
                {"tokenizer": tokenizer, "dataset": dataset, "packing": packing},
                self._entry("packings", packing),
                {"dataset": self.dataset(dataset), "tokenizer": self.tokenizer(tokenizer)},
                suffix=".zarr",
            )

        return self._once(("tokens", tokenizer, dataset, packing), build)

    def tokens_of(self, model: str, dataset: str, packing: str) -> Result:
        """Return the same with the tokenizer that a model reads."""
        return self.tokens(self.tokenizer_name(model), dataset, packing)

    def _fetched(
        self,
        rule: str,
        pattern: str,
        place: Mapping[str, str],
        entry: Mapping[str, Any],
        where: str,
    ) -> Result:
        """Return what is taken from the hub, or from local files, followed by their content."""
        settings, arguments = _without(entry, *PATHS), {}
        for key in PATHS:
            if key in entry:
                files = local_files(rule, entry[key], entry, where=f"{where} > {key}")
                arguments[key] = str(Path(entry[key]).expanduser())
                settings[hash_key(key)] = hash_of(files)
                if rule in ("fetch_dataset", "fetch_prompts"):
                    settings["format"] = kind_of(next(iter(files.values())))
        return self._alone(rule, pattern, place, settings, arguments=arguments)

    def _alone(
        self,
        rule: str,
        pattern: str,
        place: Mapping[str, str],
        settings: Mapping[str, Any],
        inputs: Mapping[str, Result] | None = None,
        *,
        arguments: Mapping[str, Any] | None = None,
        suffix: str = "",
    ) -> Result:
        """Return a result that is the only one of its place."""
        return Result(
            rule=rule,
            place=place,
            output=paths.fill(pattern, **place),
            settings=settings,
            inputs=inputs or {},
            arguments=arguments or {},
            suffix=suffix,
        )


def _without(entry: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}
