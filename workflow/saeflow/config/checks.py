"""What the schema cannot say: names that refer to each other, shares that must sum to one."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

from saeflow.config.schema import complete
from saeflow.errors import ConfigError

Config = dict[str, Any]


def resolve(config: Config, *, file: str = "config.yaml") -> Config:
    """Return the configuration with defaults filled in, or raise for the first problem.

    Parameters
    ----------
    config
        As read from YAML.
    file
        Name of the file, for messages.
    """
    result = complete(config, file=file)
    for name, model in result["models"].items():
        _check_model(result, f"{file} > models > {name}", model)
    for name, tokenizer in result["tokenizers"].items():
        where = f"{file} > tokenizers > {name}"
        if "train" in tokenizer:
            _refer(result, "datasets", tokenizer["train"], f"{where} > train")
        else:
            _refer(result, "models", tokenizer["model"], f"{where} > model")
            if "train" in result["models"][tokenizer["model"]]:
                raise ConfigError(
                    "a model that is trained here does not bring a tokenizer",
                    where=f"{where} > model",
                    remedy="Name the tokenizer that it is trained with.",
                )
    for name, dataset in result["datasets"].items():
        _check_dataset(result, f"{file} > datasets > {name}", dataset)
    for name, study in result["studies"].items():
        _check_study(result, f"{file} > studies > {name}", study)
    return result


def _check_model(config: Config, where: str, model: Config) -> None:
    if "train" not in model:
        if "tokenizer" in model:
            _refer(config, "tokenizers", model["tokenizer"], f"{where} > tokenizer")
        return
    settings = model["train"]
    for key in ("dataset", "packing", "tokenizer"):
        _refer(config, f"{key}s", settings[key], f"{where} > train > {key}")
    if settings["d_model"] % settings["n_heads"]:
        raise ConfigError(
            "the width is not a multiple of the number of heads",
            where=f"{where} > train > d_model",
            expected=f"a multiple of {settings['n_heads']}",
            got=settings["d_model"],
        )


def _check_dataset(config: Config, where: str, dataset: Config) -> None:
    if "sample" in dataset:
        _refer(config, "models", dataset["sample"]["model"], f"{where} > sample > model")
    total = sum(dataset["splits"].values())
    if not math.isclose(total, 1.0, abs_tol=1e-9):
        raise ConfigError(
            "the shares do not sum to one", where=f"{where} > splits", expected=1, got=total
        )


def _check_study(config: Config, where: str, study: Config) -> None:
    for key in ("train_on", "evaluate_on"):
        for part in ("dataset", "packing"):
            _refer(config, f"{part}s", study[key][part], f"{where} > {key} > {part}")
    for section in ("models", "saes", "methods"):
        for name in study[section]:
            _refer(config, section, name.partition("@")[0], f"{where} > {section}")
    for name in study["models"]:
        model = config["models"][name.partition("@")[0]]
        if "train" not in model:
            continue
        n_layers = model["train"]["n_layers"]
        for hook in study["hooks"]:
            if int(hook.partition(".")[2]) >= n_layers:
                raise ConfigError(
                    f"the model '{name}' has no hook '{hook}'",
                    where=f"{where} > hooks",
                    expected=f"a block from 0 to {n_layers - 1}",
                    got=hook,
                )


def _refer(config: Config, section: str, name: str, where: str) -> None:
    known: Iterable[str] = config[section]
    if name in known:
        return
    close = difflib.get_close_matches(name, list(known), n=1)
    raise ConfigError(
        f"there is no '{name}' under {section}",
        where=where,
        expected="one of " + ", ".join(known) if known else f"an entry under {section}",
        remedy=f"Did you mean '{close[0]}'?" if close else None,
    )
