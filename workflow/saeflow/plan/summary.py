"""What a configuration runs, for the report: settings that are in identities, and records.

Nothing here makes a report stale that its tables do not: the settings are those of what the tables
are made from, and what their records say follows from their identities. Read `summary`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from saeflow.config.training import Training
from saeflow.paths import NOT_PACKED
from saeflow.plan.result import Result
from saeflow.sae.formats import is_imported

_SOURCES = {
    "models": ("fetch_model", "train_lm", "select_checkpoint", "shuffle_model"),
    "datasets": ("fetch_dataset", "generate_dataset", "sample_dataset"),
    "prompts": ("fetch_prompts",),
    "labelled": ("fetch_labelled",),
}
"""By section the rules that make a source."""
_SAES = ("train_saes", "import_saes", "finetune_saes")
_FITTED = (*Training.model_fields, "architecture", "expansion", "solver", "method")
"""Keys of recipes and methods that have a place of their own."""

Summary = dict[str, dict[str, Any]]


def summary(config: Mapping[str, Any], results: Iterable[Result]) -> tuple[Summary, Summary]:
    """Return what some results were made with, and their records.

    Parameters
    ----------
    config
        With defaults filled in.
    results
        Everything that tables are made from.

    Returns
    -------
    settings : dict
        By section ("models", "datasets", "prompts", "labelled", "tokens", "activations", "saes",
        "methods", "measures", "intervals") and name: settings in identities.
    records : dict
        By section and name: path and identity of each of the results, in the order of paths.
    """
    settings: Summary = {}
    records: Summary = {}
    for result in sorted(results, key=lambda result: result.output):
        found = _entry(config, result)
        if found is not None:
            section, name, own = found
            settings.setdefault(section, {})[name] = own
            record = [str(result.output), result.identity]
            records.setdefault(section, {}).setdefault(name, []).append(record)
    return settings, records


def _entry(config: Mapping[str, Any], result: Result) -> tuple[str, str, dict[str, Any]] | None:
    """Return under which section and name a result counts, and its settings there."""
    place, rule, settings = result.place, result.rule, dict(result.settings)
    inputs = result.inputs
    for section, rules in _SOURCES.items():
        if rule in rules:
            read = {f"from_{name}": "/".join(one.place.values()) for name, one in inputs.items()}
            return section, *place.values(), {"rule": rule, **settings, **read}
    if rule == "tokenize_dataset":
        return "tokens", "/".join(place.values()), settings
    if rule == "harvest":
        return "activations", "/".join([*place.values(), settings["hook"]]), settings
    if rule in _SAES:
        recipe, _, method = result.output.parts[-3].partition("~")
        if method:
            return "methods", method, _fitted(config["methods"][method])
        return "saes", recipe, _fitted(config["saes"][recipe])
    if rule == "measure":
        on = (place["eval_dataset"], place["eval_packing"])
        for name in NOT_PACKED.keys() & inputs.keys():  # all are measured in one pass
            on = (inputs[name].place[name], name)
        return "measures", "/".join((place["measure"], place["model"], *on)), settings
    if rule == "tabulate" and "bootstrap" in settings:
        return "intervals", "tables", {key: settings[key] for key in ("bootstrap", "seed")}
    return None


def _fitted(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe or a method: what it shares with others, and its own settings."""
    if is_imported(entry):
        return {"imported": {key: value for key, value in entry.items() if key != "path"}}
    shared = {key: entry[key] for key in entry if key in _FITTED}
    return {**shared, "own": {key: entry[key] for key in entry if key not in _FITTED}}
