"""Read a configuration's content: defaults, limits, and names that refer to each other.

What one section can tell by itself is checked by its class in `sections.py`. Read `resolve`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from saeflow.config.amounts import check_amounts, check_model
from saeflow.config.messages import no_such
from saeflow.config.recipes import expand, target_hook
from saeflow.config.sections import Config as Sections
from saeflow.config.sections import section_of
from saeflow.errors import ConfigError
from saeflow.hooks import PARALLEL_SITES, Hook
from saeflow.models.training_plan import training_plan
from saeflow.paths import NOT_PACKED
from saeflow.plan.imports import varies
from saeflow.sae.formats import is_imported

Config = dict[str, Any]


def resolve(config: Any, *, file: str = "config.yaml") -> Config:
    """Return the configuration with defaults filled in, or raise for the first problem.

    Parameters
    ----------
    config
        As read from YAML.
    file
        Name of the file, for messages.
    """
    result = Sections.read(expand(config, file=file), where=file).plain()
    result["name"] = result["name"] or _name_of(file)
    studies = {}
    for name, values in result["studies"].items():
        where = f"{file} > studies > {name}"
        section = section_of(name, where=where)
        studies[name] = section, section.read(values, where=where).plain(), where
    result["studies"] = {name: values for name, (_, values, _) in studies.items()}
    for name, model in result["models"].items():
        _check_model(result, f"{file} > models > {name}", model)
    for name, tokenizer in result["tokenizers"].items():
        _check_tokenizer(result, f"{file} > tokenizers > {name}", tokenizer)
    for name, dataset in result["datasets"].items():
        if "sample" in dataset:
            where = f"{file} > datasets > {name} > sample > model"
            refer(result, "models", dataset["sample"]["model"], where)
    for name, prompts in result["prompts"].items():
        _check_prompts(result, f"{file} > prompts > {name}", prompts)
    for name, labelled in result["labelled"].items():
        if "dataset" in labelled:
            _check_world(result, f"{file} > labelled > {name}", labelled, "reviews")
    for name in NOT_PACKED.keys() & result["packings"].keys():
        raise ConfigError(
            f"this name stands for {NOT_PACKED[name]} where something is measured on them",
            where=f"{file} > packings > {name}",
            expected="another name",
            got=name,
            remedy="Rename the packing.",
        )
    for section, values, where in studies.values():
        check_study(result, where, values)
        section.check(result, values, where)
        check_amounts(result, values, file)
    return result


def _name_of(file: str) -> str:
    """Return the name of a configuration that has none: its file's, or its files'."""
    stems = (PurePath(one).stem for one in file.split(", "))
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", "+".join(stems)).lstrip("._+-") or "config"


def _check_model(config: Config, where: str, model: Config) -> None:
    if "train" in model:
        for key in ("dataset", "packing", "tokenizer"):
            refer(config, f"{key}s", model["train"][key], f"{where} > train > {key}")
        check_model(config, f"{where} > train", model["train"])
    elif "shuffle" in model:
        _check_checkpoint(config, f"{where} > shuffle", model["shuffle"])
        if "shuffle" in _entry(config, model["shuffle"]):
            raise ConfigError(
                "this model is a shuffled one itself",
                where=f"{where} > shuffle",
                expected="a model whose weights mean something",
                got=model["shuffle"],
            )
    elif "tokenizer" in model:
        refer(config, "tokenizers", model["tokenizer"], f"{where} > tokenizer")


def _entry(config: Config, model: str) -> Config:
    """Return the entry of a model, or of a checkpoint's model."""
    return config["models"][model.partition("@")[0]]


def _origin(config: Config, model: str) -> Config:
    """Return the entry of a model, and of a shuffled one that of the model it is made of."""
    entry = _entry(config, model)
    return _entry(config, entry["shuffle"]) if "shuffle" in entry else entry


def tokenizer_of(config: Config, model: str) -> str:
    """Return the name of the tokenizer that a model reads."""
    name = model.partition("@")[0]
    entry = config["models"][name]
    if "shuffle" in entry:
        return tokenizer_of(config, entry["shuffle"])
    return entry["train"]["tokenizer"] if "train" in entry else entry.get("tokenizer", name)


def _check_tokenizer(config: Config, where: str, tokenizer: Config) -> None:
    if "train" in tokenizer:
        refer(config, "datasets", tokenizer["train"], f"{where} > train")
        return
    refer(config, "models", tokenizer["model"], f"{where} > model")
    if "train" in _origin(config, tokenizer["model"]):
        raise ConfigError(
            "a model that is trained here does not bring a tokenizer",
            where=f"{where} > model",
            remedy="Name the tokenizer that it is trained with.",
        )


def _check_prompts(config: Config, where: str, prompts: Config) -> None:
    """Check that a world has the prompts that are wanted of it."""
    if "dataset" not in prompts:
        return
    world = _check_world(config, where, prompts, "prompts")
    wanted = prompts["n_prompts"]
    if wanted is not None and wanted > world["n_prompts"]:
        raise ConfigError(
            "the world has fewer prompts",
            where=f"{where} > n_prompts",
            expected=f"at most {world['n_prompts']}",
            got=wanted,
            remedy=f"Lower it, or raise datasets > {prompts['dataset']} > generate > n_prompts.",
        )


def _check_world(config: Config, where: str, entry: Config, what: str) -> Config:
    """Check that an entry names a world, and return what is generated of it."""
    refer(config, "datasets", entry["dataset"], f"{where} > dataset")
    world = config["datasets"][entry["dataset"]].get("generate")
    if world is None:
        known = [name for name, one in config["datasets"].items() if "generate" in one]
        raise ConfigError(
            f"this dataset has no {what}",
            where=f"{where} > dataset",
            expected=f"a generated dataset: {', '.join(known) or 'there is none'}",
            got=entry["dataset"],
        )
    return world


def _check_hooks(config: Config, where: str, study: Config, model: str, n_layers: int) -> None:
    """Check that a model that is trained here has the study's hooks, and those of transcoders."""
    targets = [
        target_hook(hook, config["saes"][sae]["target"])
        for hook in study["hooks"]
        for sae in study["saes"]
        if config["saes"][sae].get("target") is not None
    ]
    for name in [*study["hooks"], *study.get("state_hooks", ()), *targets]:
        hook = Hook.parse(name)
        if hook.site not in PARALLEL_SITES or hook.block >= n_layers:
            raise ConfigError(
                f"the model '{model}' has no hook '{hook}' ({hook.transformer_lens})",
                where=where,
                expected=f"SITE.BLOCK with SITE one of {', '.join(PARALLEL_SITES)}"
                f" and BLOCK from 0 to {n_layers - 1}",
                got=name,
            )


def check_study(config: Config, where: str, study: Config) -> None:
    """Check what every study names, or what is made of its section for a part of it."""
    for key in ("train_on", "evaluate_on"):
        refer_place(config, study[key], f"{where} > {key}")
    for name in study["saes"]:
        refer(config, "saes", name, f"{where} > saes")
    check_saes(config, where, study)
    for name in study["models"]:
        _check_checkpoint(config, f"{where} > models", name)
        model = _origin(config, name)
        if "train" in model:
            _check_hooks(config, f"{where} > hooks", study, name, model["train"]["n_layers"])


def refer_place(config: Config, place: Config, where: str) -> None:
    """Check that the dataset and the packing of a place are there."""
    for part in ("dataset", "packing"):
        refer(config, f"{part}s", place[part], f"{where} > {part}")


def check_trained_elsewhere(
    config: Config, where: str, study: Config, *, on: str, saes: str, what: str
) -> bool:
    """Check SAEs that a study trains at another place, and return whether it does.

    Parameters
    ----------
    config
        The whole configuration.
    where
        Place of the study, for messages.
    study
        Its section.
    on, saes
        Its keys with the place, None for none, and with the names of the SAEs.
    what
        What SAEs these are, for messages.
    """
    place, names = study[on], study[saes]
    for name in names:
        refer(config, "saes", name, f"{where} > {saes}")
    if (place is None) == bool(names):
        raise ConfigError(
            f"{what} need both a place and names",
            where=f"{where} > {on}",
            expected=f"{on} and {saes}, or neither",
            got=f"{on} {place}, {saes} {names}",
        )
    if place is not None:
        refer_place(config, place, f"{where} > {on}")
        there = {**study, "saes": names, "train_on": place}
        check_saes(config, where, there)
        check_amounts(config, there, where.partition(" > ")[0])
    return place is not None


def check_saes(config: Config, where: str, study: Config) -> None:
    """Check that a study's SAEs can be at its hooks, with its seeds.

    Parameters
    ----------
    config
        The whole configuration.
    where
        Place of the study, for messages.
    study
        Its section, with the ``saes`` that are asked about.
    """
    _check_imports(config, where, study)
    _check_transcoders(config, where, study)
    for name in study["saes"]:
        if config["saes"][name].get("joined"):
            raise ConfigError(
                f"the crosscoder '{name}' reads several hooks, and here are SAEs of one",
                where=f"{where} > saes",
                expected="recipes without joined",
                got=name,
                remedy="Name it under studies > universality > crosscoders, or remove it.",
            )


def _check_imports(config: Config, where: str, study: Config) -> None:
    """Check that imported SAEs differ where the study wants them to."""
    for name in study["saes"]:
        entry = config["saes"][name]
        if not is_imported(entry):
            continue
        if len(study["seeds"]) > 1 and not varies(entry, "seed"):
            raise ConfigError(
                f"the imported SAE '{name}' is one, and the study wants several seeds of it",
                where=f"{where} > seeds",
                expected="one seed, or {seed} in its path",
                got=study["seeds"],
            )
        by_hook = any(varies(entry, part) for part in ("hook", "block"))
        if len(study["hooks"]) > 1 and not by_hook:
            raise ConfigError(
                f"the imported SAE '{name}' is of one hook, and the study has several",
                where=f"{where} > hooks",
                expected="one hook, or {hook} or {block} in its path",
                got=", ".join(study["hooks"]),
            )


def _check_transcoders(config: Config, where: str, study: Config) -> None:
    """Check that transcoders have another hook to predict."""
    for name in study["saes"]:
        target = config["saes"][name].get("target")
        for hook in study["hooks"]:
            if target is not None and target_hook(hook, target) == hook:
                raise ConfigError(
                    f"the transcoder '{name}' would predict what it reads",
                    where=f"{where} > hooks",
                    expected=f"hooks other than its target {target}",
                    got=hook,
                )


def _check_checkpoint(config: Config, where: str, name: str) -> None:
    """Check the name of a model, or ``model@step`` for a checkpoint of one that is trained."""
    model, at, step = name.partition("@")
    refer(config, "models", model, where)
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


def refer(config: Config, section: str, name: str, where: str) -> None:
    """Raise a `ConfigError` unless a section of the configuration has an entry of this name."""
    known = config[section]
    if name not in known:
        refused = no_such(f"there is no '{name}' under {section}", name, known, where=where)
        refused.expected = refused.expected or f"an entry under {section}"
        raise refused


def check_among(section: Mapping[str, Any], named: dict[str, str], where: str) -> None:
    """Check that what some keys of a study's section name is in the lists of others: key -> key."""
    for key, among in named.items():
        for name in section[key] or ():
            if name not in section[among]:
                raise ConfigError(
                    f"the study does not have this one among its `{among}`",
                    where=f"{where} > {key}",
                    expected="some of: " + ", ".join(section[among]),
                    got=name,
                    remedy=f"Add it to `{among}`, or take it from `{key}`.",
                )
