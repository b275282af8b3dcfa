"""Models, tokenizers, datasets and tokens: everything before activations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from saeflow import paths
from saeflow.config.checks import tokenizer_of
from saeflow.datasets.files import kind_of
from saeflow.errors import ConfigError
from saeflow.labelled.files import PATHS
from saeflow.plan.local import hash_key, hash_of, local_files
from saeflow.plan.result import Result, look_at_source

_Asked = ParamSpec("_Asked")
_Method = Callable[Concatenate[Any, _Asked], Result]

_RECORDS = {
    "model": paths.MODEL,
    "tokenizer": paths.TOKENIZER,
    "dataset": paths.DATASET,
    "prompts": paths.PROMPTS,
    "labelled": paths.LABELLED,
    "packing": paths.TOKENS,
}
"""By the last wildcard."""


def once(build: _Method[_Asked]) -> _Method[_Asked]:
    """Have a method of a plan build each result once."""
    signature = inspect.signature(build)

    @wraps(build)
    def built(plan: Any, *args: _Asked.args, **kwargs: _Asked.kwargs) -> Result:
        _, *asked = signature.bind(plan, *args, **kwargs).arguments.values()
        key = (build.__name__, *map(str, asked))
        return plan._once(key, lambda: build(plan, *args, **kwargs))

    return built


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

    @once
    def model(self, model: str) -> Result:
        """Return a model: fetched, trained, one of its checkpoints, or a control of one."""
        name, _, step = model.partition("@")
        entry, place = self._entry("models", name), {"model": model}
        if step:
            inputs = {"model": self.model(name)}
            return self._alone("select_checkpoint", place, {"step": int(step)}, inputs)
        if "train" in entry:
            train = entry["train"]
            inputs = {
                "tokens": self.tokens(train["tokenizer"], train["dataset"], train["packing"]),
                "tokenizer": self.tokenizer(train["tokenizer"]),
            }
            settings = _without(train, "dataset", "packing", "tokenizer")
            return self._alone("train_lm", place, settings, inputs)
        if "shuffle" in entry:
            inputs = {"model": self.model(entry["shuffle"])}
            return self._alone("shuffle_model", place, _without(entry, "shuffle"), inputs)
        return self._fetched("fetch_model", place, _without(entry, "tokenizer"), f"models > {name}")

    def tokenizer_name(self, model: str) -> str:
        """Return the name of the tokenizer that a model reads."""
        self._entry("models", model.partition("@")[0])  # raises where there is none
        return tokenizer_of(self.config, model)

    @once
    def tokenizer(self, tokenizer: str) -> Result:
        """Return a tokenizer: trained, or taken from a model."""
        place = {"tokenizer": tokenizer}
        entry = self.config["tokenizers"].get(tokenizer, {"model": tokenizer})
        if "train" in entry:
            inputs = {"dataset": self.dataset(entry["train"])}
            return self._alone("train_tokenizer", place, {}, inputs)
        return self._alone("copy_tokenizer", place, {}, {"model": self.model(entry["model"])})

    # -- texts --------------------------------------------------------------------------------

    @once
    def dataset(self, dataset: str) -> Result:
        """Return a dataset: fetched, read, generated, or sampled from a model."""
        entry, place = self._entry("datasets", dataset), {"dataset": dataset}
        if "generate" in entry:
            return self._alone("generate_dataset", place, entry)
        if "sample" in entry:
            model = entry["sample"]["model"]
            inputs = {
                "model": self.model(model),
                "tokenizer": self.tokenizer(self.tokenizer_name(model)),
            }
            settings = {**entry, "sample": _without(entry["sample"], "model")}
            return self._alone("sample_dataset", place, settings, inputs)
        return self._fetched("fetch_dataset", place, entry, f"datasets > {dataset}")

    @once
    def prompts(self, prompts: str) -> Result:
        """Return a prompt set: read, or generated."""
        entry, place = self._entry("prompts", prompts), {"prompts": prompts}
        if "generate" not in entry:
            return self._fetched("fetch_prompts", place, entry, f"prompts > {prompts}")
        inputs = {"dataset": self.dataset(entry["dataset"])} if "dataset" in entry else {}
        roots = (f"saeflow.prompts.{'world' if inputs else 'ioi'}",)
        settings = _without(entry, "dataset")
        return self._alone("fetch_prompts", place, settings, inputs, code_roots=roots)

    @once
    def labelled(self, labelled: str) -> Result:
        """Return labelled texts: read, or generated."""
        entry = {**self._entry("labelled", labelled), "name": labelled}
        place = {"labelled": labelled}
        if "generate" not in entry:
            return self._fetched("fetch_labelled", place, entry, f"labelled > {labelled}")
        world = self._entry("datasets", entry.pop("dataset"))["generate"]
        entry["world"] = {key: world[key] for key in ("seed", "n_prompts")}
        return self._alone("fetch_labelled", place, entry, code_roots=("saeflow.labelled.world",))

    @once
    def tokens(self, tokenizer: str, dataset: str, packing: str) -> Result:
        """Return the job that cuts a dataset into sequences of tokens."""
        place = {"tokenizer": tokenizer, "dataset": dataset, "packing": packing}
        settings = self._entry("packings", packing)
        inputs = {"dataset": self.dataset(dataset), "tokenizer": self.tokenizer(tokenizer)}
        return self._alone("tokenize_dataset", place, settings, inputs, suffix=".zarr")

    def tokens_of(self, model: str, dataset: str, packing: str) -> Result:
        """Return the same with the tokenizer that a model reads."""
        return self.tokens(self.tokenizer_name(model), dataset, packing)

    def _fetched(
        self, rule: str, place: Mapping[str, str], entry: Mapping[str, Any], where: str
    ) -> Result:
        """Return what is taken from the hub, or from local files, followed by their content."""
        settings, arguments = _without(entry, *PATHS), {}
        for key in PATHS:
            if key in entry:
                path = f"{self.file} > {where} > {key}"
                files = local_files(rule, entry[key], entry, where=path)
                arguments[key] = str(Path(entry[key]).expanduser())
                settings[hash_key(key)] = hash_of(files)
                if rule in ("fetch_dataset", "fetch_prompts"):
                    settings["format"] = kind_of(next(iter(files.values())))
        return self._alone(rule, place, settings, arguments=arguments)

    def _alone(
        self,
        rule: str,
        place: Mapping[str, str],
        settings: Mapping[str, Any],
        inputs: Mapping[str, Result] | None = None,
        *,
        suffix: str = "",
        **more: Any,
    ) -> Result:
        """Return a result that is the only one of its place."""
        output = paths.fill(_RECORDS[[*place][-1]], **place)
        return Result(rule, place, output, settings, inputs or {}, suffix=suffix, **more)


def _without(entry: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}
