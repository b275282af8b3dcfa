"""The jobs that make models, tokenizers, datasets and tokens."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.errors import ConfigError
from saeflow.plan.job import Job, forget_code
from saeflow.plan.local import hash_local


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
        forget_code()
        self.config, self.file = config, file
        self._jobs: dict[tuple[str, ...], Job] = {}
        self._open: list[tuple[str, ...]] = []

    def _once(self, key: tuple[str, ...], build: Callable[[], Job]) -> Job:
        """Build each job once; a job that needs itself is an error of the configuration."""
        if key in self._open:
            chain = " -> ".join("/".join(k) for k in [*self._open, key])
            raise ConfigError("an entry needs itself", where=self.file, got=chain)
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

    def names(self, section: str, *kinds: str) -> str:
        """Return a regular expression for the names of a section's entries of some kinds.

        Parameters
        ----------
        section
            "models", "datasets", ...
        kinds
            Keys of which an entry must have one ("hub", "path"); none takes all entries.
        """
        entries = self.config[section].items()
        found = [n for n, entry in entries if not kinds or any(k in entry for k in kinds)]
        # A pattern that matches nothing keeps a rule out of a configuration without such entries.
        return "|".join(re.escape(name) for name in found) or r"(?!)"

    # -- models and tokenizers ---------------------------------------------------------------

    def model(self, model: str) -> Job:
        """Return the job that makes a model: fetched, trained, or one of its checkpoints."""
        return self._once(("model", model), lambda: self._model(model))

    def _model(self, model: str) -> Job:
        name, _, step = model.partition("@")
        entry = self._entry("models", name)
        if step:
            return Job(
                rule="select_checkpoint",
                output=paths.fill(paths.CHECKPOINT, model=name, step=step),
                settings={"step": int(step)},
                inputs={"model": self.model(name)},
                suffix="",
            )
        output = paths.fill(paths.MODEL, model=model)
        if "train" in entry:
            settings = dict(entry["train"])
            dataset, packing = settings.pop("dataset"), settings.pop("packing")
            tokenizer = settings.pop("tokenizer")
            inputs = {
                "tokens": self.tokens(tokenizer, dataset, packing),
                "tokenizer": self.tokenizer(tokenizer),
            }
            return Job("train_lm", output, settings, inputs, suffix="")
        source = _without(entry, "tokenizer")
        arguments: dict[str, Any] = {}
        if "path" in source:
            arguments["path"] = source.pop("path")
            source["path_sha256"] = hash_local(
                Path(arguments["path"]), where=f"{self.file} > models > {name} > path"
            )
        return Job("fetch_model", output, source, arguments=arguments, suffix="")

    def checkpoint(self, model: str, step: str) -> Job:
        """Return the job that makes a model of one checkpoint."""
        return self.model(f"{model}@{step}")

    def tokenizer_name(self, model: str) -> str:
        """Return the name of the tokenizer that a model reads."""
        name = model.partition("@")[0]
        entry = self._entry("models", name)
        return entry["train"]["tokenizer"] if "train" in entry else entry.get("tokenizer", name)

    def copied_tokenizers(self) -> str:
        """Return a regular expression for the names of tokenizers that come from a model."""
        entries = self.config["tokenizers"]
        named = [name for name, entry in entries.items() if "model" in entry]
        own = [name for name in self.config["models"] if name not in entries]
        return "|".join(re.escape(name) for name in [*named, *own]) or r"(?!)"

    def tokenizer(self, tokenizer: str) -> Job:
        """Return the job that makes a tokenizer: trained, or taken from a model."""
        return self._once(("tokenizer", tokenizer), lambda: self._tokenizer(tokenizer))

    def _tokenizer(self, tokenizer: str) -> Job:
        output = paths.fill(paths.TOKENIZER, tokenizer=tokenizer)
        entry = self.config["tokenizers"].get(tokenizer, {"model": tokenizer})
        if "train" in entry:
            inputs = {"dataset": self.dataset(entry["train"])}
            return Job("train_tokenizer", output, {}, inputs, suffix="")
        inputs = {"model": self.model(entry["model"])}
        return Job("copy_tokenizer", output, {}, inputs, suffix="")

    # -- texts --------------------------------------------------------------------------------

    def dataset(self, dataset: str) -> Job:
        """Return the job that makes a dataset."""
        return self._once(("dataset", dataset), lambda: self._dataset(dataset))

    def _dataset(self, dataset: str) -> Job:
        entry = dict(self._entry("datasets", dataset))
        output = paths.fill(paths.DATASET, dataset=dataset)
        if "generate" in entry:
            return Job("generate_dataset", output, entry, suffix="")
        if "sample" in entry:
            sample = dict(entry["sample"])
            model = sample.pop("model")
            inputs = {
                "model": self.model(model),
                "tokenizer": self.tokenizer(self.tokenizer_name(model)),
            }
            return Job("sample_dataset", output, {**entry, "sample": sample}, inputs, suffix="")
        arguments: dict[str, Any] = {}
        if "path" in entry:
            arguments["path"] = entry.pop("path")
            entry["format"] = Path(arguments["path"]).suffix
            entry["path_sha256"] = hash_local(
                Path(arguments["path"]), where=f"{self.file} > datasets > {dataset} > path"
            )
        return Job("fetch_dataset", output, entry, arguments=arguments, suffix="")

    def tokens(self, tokenizer: str, dataset: str, packing: str) -> Job:
        """Return the job that cuts a dataset into sequences of tokens."""

        def build() -> Job:
            return Job(
                rule="tokenize_dataset",
                output=paths.fill(
                    paths.TOKENS, tokenizer=tokenizer, dataset=dataset, packing=packing
                ),
                settings=self._entry("packings", packing),
                inputs={
                    "dataset": self.dataset(dataset),
                    "tokenizer": self.tokenizer(tokenizer),
                },
                suffix=".zarr",
            )

        return self._once(("tokens", tokenizer, dataset, packing), build)


def _without(entry: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}
