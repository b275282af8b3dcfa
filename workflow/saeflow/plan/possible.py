"""What the configuration asks of models and texts and they cannot give, as far as files tell.

Read are the configurations of models that are local, fetched or in the hub's cache, and the
beginnings of local texts: nothing large, and no torch. What the configuration tells by itself is
refused in `saeflow.config`. Read `require_possible`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.config.recipes import target_hook
from saeflow.cost.shapes import PUBLISHED, directory_of
from saeflow.errors import ConfigError
from saeflow.hooks import PARALLEL_SITES, Hook, joined_places
from saeflow.models.facts import ModelFacts, read_facts
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.plan.result import Result
from saeflow.tokenizers import has_tokenizer

_TEXTS = ("fetch_dataset", "fetch_prompts", "fetch_labelled")


def require_possible(outputs: Outputs) -> None:
    """Raise for the first thing that models or texts cannot give; what is not known passes.

    Raises
    ------
    ConfigError
        With the place in the configuration.
    """
    plan = outputs.plan
    for study, section in plan.config["studies"].items():
        _check_hooks(plan, section, f"{plan.file} > studies > {study} > hooks")
    wanted = [one for one in outputs.wanted if not outputs.current(one)]
    for one in sorted(wanted, key=lambda one: one.output):
        if one.rule == "fetch_model" and "path" in one.arguments:
            _check_directory(plan, one)
        elif one.rule == "harvest":
            _check_context(plan, one)
        elif one.rule == "train_saes":
            _check_width(plan, one)
        elif one.rule == "sample_dataset":
            _check_samples(plan, one)
        elif one.rule in _TEXTS and "path" in one.arguments:
            # by name: nothing of it is needed where texts were read before
            registry.load("plan", "texts").check(plan, one, wanted)


def facts_of(model: Result) -> ModelFacts | None:
    """Return what is known of a model before it is loaded; None for nothing."""
    if model.rule in ("select_checkpoint", "shuffle_model"):
        return facts_of(model.inputs["model"])
    if model.rule == "train_lm":
        settings = model.settings
        length = settings["context_length"] or model.inputs["tokens"].settings["context_length"]
        return ModelFacts(
            "gpt_neox", settings["n_layers"], settings["d_model"], None, length, PARALLEL_SITES
        )
    if found := read_facts(directory_of(model)):
        return found
    shape = PUBLISHED.get(model.settings.get("hub"))
    return shape and ModelFacts(shape.family, shape.n_layers, shape.d_model, shape.vocab_size)


def _check_hooks(plan: Plan, study: Mapping[str, Any], where: str) -> None:
    hooks = [Hook.parse(name) for name in study["hooks"]]
    joined = [
        place
        for model in study["models"]
        for name in study.get("crosscoders", ())
        for place in joined_places(model, plan.config["saes"][name]["joined"])
    ]
    for model, name in dict.fromkeys(joined):
        _check_hook(plan, model, Hook.parse(name), where.replace("> hooks", "> crosscoders"))
    for name in (*study["saes"], *study.get("context_saes", ())):
        if (target := plan.config["saes"][name].get("target")) is not None:
            hooks += [Hook.parse(target_hook(str(hook), target)) for hook in tuple(hooks)]
    hooks += [Hook.parse(name) for name in study.get("state_hooks", ())]
    for model in study["models"]:
        for hook in hooks:
            _check_hook(plan, model, hook, where)


def _check_hook(plan: Plan, model: str, hook: Hook, where: str) -> None:
    facts = facts_of(plan.model(model))
    if facts and (lack := facts.lack(hook)):
        raise ConfigError(
            f"the model '{model}' has no hook {hook}: {lack}",
            where=where,
            expected=_hooks(facts),
            got=str(hook),
            remedy="Remove it from the list, or correct it.",
        )


def _hooks(facts: ModelFacts) -> str:
    blocks = "" if facts.n_layers is None else f" and BLOCK from 0 to {facts.n_layers - 1}"
    return f"SITE.BLOCK with SITE one of {', '.join(facts.sites)}{blocks}"


def _check_directory(plan: Plan, model: Result) -> None:
    """Refuse a local model without configuration or, where it needs one, a tokenizer."""
    path = Path(model.arguments["path"]).expanduser()
    name = model.place["model"]
    where = f"{plan.file} > models > {name} > path"
    if not (path / "config.json").is_file():
        raise ConfigError(
            "this is not a model's directory",
            where=where,
            expected="a Hugging Face directory with config.json and weights",
            got=path,
        )
    used = any(name in study["models"] for study in plan.config["studies"].values())
    if used and plan.tokenizer_name(name) == name and not has_tokenizer(path):
        raise ConfigError(
            "the model brings no tokenizer",
            where=where,
            expected="tokenizer.json, or the files of another kind of tokenizer",
            got=path,
            remedy="Copy the tokenizer's files there, or name one of `tokenizers` with"
            f" models > {name} > tokenizer.",
        )


def _check_context(plan: Plan, store: Result) -> None:
    """Refuse sequences that are longer than a model's positions."""
    facts, packing = facts_of(store.inputs["model"]), store.place["packing"]
    length = store.inputs["tokens"].settings["context_length"]
    most = facts and facts.max_positions
    if most is not None and length > most:
        raise ConfigError(
            f"the sequences are longer than the context of the model '{store.place['model']}'",
            where=f"{plan.file} > packings > {packing} > context_length",
            expected=f"at most {most}",
            got=length,
            remedy="Lower it.",
        )


def _check_width(plan: Plan, sae: Result) -> None:
    """Refuse recipes that want more latents or components than there will be."""
    facts, name = facts_of(sae.inputs["activations"].inputs["model"]), sae.output.parent.parent.name
    if facts is None or facts.d_model is None:
        return
    settings = sae.settings
    d_sae = round(settings.get("expansion", 1) * facts.d_model)
    for key, most in (("k", d_sae), ("components", facts.d_model)):
        if (wanted := settings.get(key)) is not None and wanted > most:
            raise ConfigError(
                f"on the model '{sae.place['model']}', of width {facts.d_model}, that many are not",
                where=f"{plan.file} > saes > {name} > {key}",
                expected=f"at most {most}",
                got=wanted,
                remedy="Lower it" + (", or raise `expansion`." if key == "k" else "."),
            )


def _check_samples(plan: Plan, dataset: Result) -> None:
    facts, wanted = facts_of(dataset.inputs["model"]), dataset.settings["sample"]["max_tokens"]
    most = facts and facts.max_positions
    if most is not None and wanted > most - 1:
        raise ConfigError(
            "documents longer than the model's context cannot be sampled",
            where=f"{plan.file} > datasets > {dataset.place['dataset']} > sample > max_tokens",
            expected=f"at most {most - 1}, for {most} positions with the start token",
            got=wanted,
            remedy="Lower it.",
        )
