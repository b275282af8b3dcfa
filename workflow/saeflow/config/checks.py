"""What the schema cannot say: names that refer to each other, shares that must sum to one."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

from saeflow.config.recipes import expand, target_hook
from saeflow.config.schema import complete
from saeflow.errors import ConfigError
from saeflow.models.training_plan import training_plan
from saeflow.plan.imports import is_imported, varies

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
    result = complete(expand(config, file=file), file=file)
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
        _check_imports(result, f"{file} > studies > {name}", study)
        _check_study(result, f"{file} > studies > {name}", study)
    rows = result["activations"]["shard_rows"]
    if rows is not None and rows & (rows - 1):
        raise ConfigError(
            "the rows of a shard must be a power of two",
            where=f"{file} > activations > shard_rows",
            expected=f"{1 << (rows.bit_length() - 1)} or {1 << rows.bit_length()}",
            got=rows,
        )
    if result["activations"]["live"] and result["activations"]["temporary"]:
        raise ConfigError(
            "live activations leave nothing that could be removed",
            where=f"{file} > activations",
            expected="live or temporary",
            got="both",
        )
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
    for name in study["tune"] or ():
        if name not in study["saes"]:
            raise ConfigError(
                "an SAE is to be fine-tuned that the study does not train",
                where=f"{where} > tune",
                expected="one of " + ", ".join(study["saes"]),
                got=name,
            )
    _check_transcoders(config, where, study)
    _check_toys(f"{where} > theory", study["theory"])
    for name in study["models"]:
        _check_checkpoint(config, f"{where} > models", name)
        model = config["models"][name.partition("@")[0]]
        if "train" not in model:
            continue
        n_layers = model["train"]["n_layers"]
        targets = [
            target_hook(hook, config["saes"][sae]["target"])
            for hook in study["hooks"]
            for sae in study["saes"]
            if config["saes"][sae].get("target") is not None
        ]
        for hook in [*study["hooks"], *targets]:
            site, _, block = hook.partition(".")
            if site not in _TRAINED_SITES or int(block) >= n_layers:
                raise ConfigError(
                    f"the model '{name}' has no hook '{hook}'",
                    where=f"{where} > hooks",
                    expected=f"SITE.BLOCK with SITE one of {', '.join(_TRAINED_SITES)}"
                    f" and BLOCK from 0 to {n_layers - 1}",
                    got=hook,
                )


def _check_toys(where: str, theory: Config) -> None:
    """Check that the toys' features can all be at right angles, and some of them alive."""
    n_features = max(len(theory["g"]) * len(theory["p"]), len(theory["g"]) + 1)
    if n_features > theory["d"]:
        raise ConfigError(
            "the toys' features do not fit at right angles",
            where=f"{where} > d",
            expected=f"at least {n_features}: strengths times frequencies",
            got=theory["d"],
        )
    border = max(theory["c"]) * theory["d"] / 2
    if max(theory["g"]) <= border:
        raise ConfigError(
            "the largest penalty would leave none of the toys' features alive",
            where=f"{where} > g",
            expected=f"one above c d / 2 = {border:g}",
            got=max(theory["g"]),
        )


def _check_imports(config: Config, where: str, study: Config) -> None:
    """Check that imported SAEs differ where the study wants them to, and are not all it has."""
    entries = {name: config["saes"].get(name, {}) for name in study.get("saes", [])}
    imported = {name: entry for name, entry in entries.items() if is_imported(entry)}
    for name, entry in imported.items():
        if len(study.get("seeds", [0])) > 1 and not varies(entry, "seed"):
            raise ConfigError(
                f"the imported SAE '{name}' is one, and the study wants several seeds of it",
                where=f"{where} > seeds",
                expected="one seed, or {seed} in its path",
                got=study["seeds"],
            )
        by_hook = any(varies(entry, part) for part in ("hook", "block"))
        if len(study.get("hooks", [])) > 1 and not by_hook:
            raise ConfigError(
                f"the imported SAE '{name}' is of one hook, and the study has several",
                where=f"{where} > hooks",
                expected="one hook, or {hook} or {block} in its path",
                got=", ".join(study["hooks"]),
            )
    if imported and len(imported) == len(entries):
        raise ConfigError(
            "none of the study's SAEs is trained here, and some of its figures show training",
            where=f"{where} > saes",
            expected="at least one recipe beside " + ", ".join(imported),
        )


def _check_transcoders(config: Config, where: str, study: Config) -> None:
    """Check that transcoders have another hook to predict, and are not fine-tuned."""
    for name in study["saes"]:
        entry = config["saes"][name]
        if entry.get("target") is None:
            continue
        for hook in study["hooks"]:
            if target_hook(hook, entry["target"]) == hook:
                raise ConfigError(
                    f"the transcoder '{name}' would predict what it reads",
                    where=f"{where} > hooks",
                    expected=f"hooks other than its target {entry['target']}",
                    got=hook,
                )
        tuned = study["tune"] is None and entry["architecture"] == "relu"
        if study["methods"] and (tuned or name in (study["tune"] or ())):
            raise ConfigError(
                f"'{name}' is a transcoder, and only autoencoders are fine-tuned",
                where=f"{where} > tune",
                remedy="List under `tune` the SAEs that are to be fine-tuned.",
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
