"""Short forms of SAE recipes: presets named after papers, and lists that stand for many recipes.

Both are written out before the configuration is checked, so that nothing behind it, identities
least of all, knows of them. Read `expand`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from saeflow.config.messages import no_such
from saeflow.config.presets import PRESETS
from saeflow.config.saes import Sae
from saeflow.config.schema import in_words, kinds_of, type_of
from saeflow.config.sections import find_section
from saeflow.errors import ConfigError

PENALTIES = ("l1", "l0_coef")
"""Names of the weight of a penalty in a recipe."""

_SHORT = {"components": "n", "expansion": "x", "k": "k", "learning_rate": "lr", "part": "part"}


def expand(config: Any, *, file: str) -> Any:
    """Return the configuration with presets and sweeps of SAE recipes written out.

    Parameters
    ----------
    config
        As read from YAML, not checked yet; what is not of the expected form is left to the check.
    file
        Name of the file, for messages.

    Notes
    -----
    A list in a recipe, where one value is expected, stands for a recipe per value; several lists
    for every combination. A study that names such a recipe means all of them.
    """
    if not isinstance(config, dict) or not isinstance(config.get("saes"), dict):
        return config
    written: dict[str, Any] = {}
    members: dict[str, list[str]] = {}
    for name, entry in config["saes"].items():
        where = f"{file} > saes > {name}"
        if not isinstance(entry, dict) or not isinstance(name, str):
            written[name] = entry
            continue
        members[name] = []
        for one, recipe in _swept(name, _completed(entry, where), where):
            if one in written or (one != name and one in config["saes"]):
                raise ConfigError(
                    "two recipes have one name",
                    where=where,
                    got=one,
                    remedy="Rename one of them; a sweep's recipes are named after their values.",
                )
            written[one] = recipe
            members[name].append(one)
    studies = config.get("studies")
    if isinstance(studies, dict):
        studies = {name: _study(name, study, members) for name, study in studies.items()}
    return {**config, "saes": written, **({"studies": studies} if "studies" in config else {})}


def wants_coefficient(recipe: Mapping[str, Any]) -> bool:
    """Return whether a recipe has a ``target_l0`` for which its penalty's weight is to be found."""
    given = any(recipe.get(name) is not None for name in PENALTIES)
    return recipe.get("target_l0") is not None and not given


def target_hook(hook: str, target: str) -> str:
    """Return the hook that a transcoder at ``hook`` predicts.

    Parameters
    ----------
    hook
        "resid_mid.3".
    target
        A site ("mlp_out": of the same block) or a hook.
    """
    return target if "." in target else f"{target}.{hook.partition('.')[2]}"


def _completed(entry: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a recipe with its preset's values, its own ones on top."""
    result = dict(entry)
    if "preset" in result:
        name = result.pop("preset")
        if name not in PRESETS:
            raise no_such(
                f"there is no preset '{name}'", str(name), PRESETS, where=f"{where} > preset"
            )
        values = PRESETS[name].values
        if result.get("architecture", values["architecture"]) != values["architecture"]:
            raise ConfigError(
                f"the preset '{name}' is of another architecture",
                where=f"{where} > architecture",
                expected=values["architecture"],
                got=result["architecture"],
            )
        if "target_l0" in result:  # the wish takes the place of the paper's weight
            values = {key: value for key, value in values.items() if key not in PENALTIES}
        result = {**values, **result}
    if result.get("target") is not None:
        if result.setdefault("subtract_b_dec", False) is not False:
            raise ConfigError(
                "a transcoder's decoder bias is in the space of its target",
                where=f"{where} > subtract_b_dec",
                expected="false",
                got=result["subtract_b_dec"],
            )
    return result


def _swept(name: str, entry: dict[str, Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and recipe of every combination of an entry's lists."""
    keys = [key for key, value in entry.items() if _is_sweep(entry, key, value)]
    for values in itertools.product(*(entry[key] for key in keys)):
        chosen = dict(zip(keys, values, strict=True))
        parts = [_part(key, value, where) for key, value in chosen.items()]
        yield "-".join([name, *parts]) if parts else name, {**entry, **chosen}


def _is_sweep(entry: Mapping[str, Any], key: str, value: Any) -> bool:
    if not isinstance(value, list) or not value or key in ("path", "hub"):
        return False
    return not _holds_lists(entry.get("architecture"), key) or isinstance(value[0], list)


def _holds_lists(architecture: Any, key: str) -> bool:
    """Whether a list is one value of a key; also where the architecture is not known."""
    recipe = kinds_of(Sae).get(str(architecture))
    if recipe is None:
        return True
    field = recipe.model_fields.get(key)
    return field is not None and in_words(type_of(field)).startswith("a list")


def _part(key: str, value: Any, where: str) -> str:
    if isinstance(value, dict | list):
        raise ConfigError(
            "only numbers, words and truth values can be listed to make several recipes",
            where=f"{where} > {key}",
            remedy="Write the recipes out, each with a name of its own.",
        )
    if value is None or isinstance(value, bool):
        text = str(value).lower()
    else:
        text = f"{value:.12g}" if isinstance(value, int | float) else str(value)
    text = text.replace("/", "of")  # names are parts of paths
    return f"{_SHORT[key]}{text}" if key in _SHORT else f"{key}-{text}"


def _study(name: Any, study: Any, members: Mapping[str, Iterable[str]]) -> Any:
    """Return a study in which the name of a sweep is replaced by those of its recipes."""
    section = find_section(name)
    return study if section is None else _written_out(study, section.SAE_KEYS, members)


def _written_out(given: Any, keys: Collection[str], members: Mapping[str, Iterable[str]]) -> Any:
    """Return a section in which lists under some keys, at any depth, name recipes for sweeps."""
    if not isinstance(given, dict):
        return given
    result = {}
    for key, value in given.items():
        if key in keys and isinstance(value, list):
            result[key] = [
                one
                for item in value
                for one in (members.get(item, [item]) if isinstance(item, str) else [item])
            ]
        else:
            result[key] = _written_out(value, keys, members)
    return result
