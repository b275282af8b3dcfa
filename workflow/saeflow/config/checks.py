"""What the schema cannot say: names that refer to each other, shares that must sum to one."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

from saeflow.config.schema import complete
from saeflow.errors import ConfigError
from saeflow.models.training_plan import training_plan

Config = dict[str, Any]

_TRAINED_SITES = ("resid_pre", "attn_out", "mlp_out", "resid_post")
"""The sites of a model that is trained here; its parallel blocks have no point between the two."""


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
    if settings["d_model"] % (2 * settings["n_heads"]):
        raise ConfigError(
            "the width cannot be divided among the heads, of which each needs an even number",
            where=f"{where} > train > d_model",
            expected=f"a multiple of {2 * settings['n_heads']}",
            got=settings["d_model"],
        )
    try:
        training_plan(settings)
    except ConfigError as error:
        error.where = f"{where}{str(error.where).removeprefix('models')}"
        raise


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
    for section in ("saes", "methods"):
        for name in study[section]:
            _refer(config, section, name, f"{where} > {section}")
    for name in study["models"]:
        _check_checkpoint(config, f"{where} > models", name)
        model = config["models"][name.partition("@")[0]]
        if "train" not in model:
            continue
        n_layers = model["train"]["n_layers"]
        for hook in study["hooks"]:
            site, _, block = hook.partition(".")
            if site not in _TRAINED_SITES or int(block) >= n_layers:
                raise ConfigError(
                    f"the model '{name}' has no hook '{hook}'",
                    where=f"{where} > hooks",
                    expected=f"SITE.BLOCK with SITE one of {', '.join(_TRAINED_SITES)}"
                    f" and BLOCK from 0 to {n_layers - 1}",
                    got=hook,
                )


def _check_checkpoint(config: Config, where: str, name: str) -> None:
    """Check the name of a model, or ``model@step`` for a checkpoint of one that is trained."""
    model, at, step = name.partition("@")
    _refer(config, "models", model, where)
    if not at:
        return
    settings = config["models"][model].get("train")
    if settings is None:
        raise ConfigError(
            f"the model '{model}' has no checkpoints",
            where=where,
            expected="a model that is trained here",
            got=name,
            remedy="List another revision as a model of its own.",
        )
    known = [str(step) for step in training_plan(settings).checkpoint_steps()]
    if step not in known:
        raise ConfigError(
            f"the model '{model}' has no such checkpoint",
            where=where,
            expected=f"{model}@STEP with STEP one of " + ", ".join(known),
            got=name,
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
