"""What a person is told: the refusals of pydantic in the form of ours.

Read `explained`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from types import NoneType
from typing import Any, NamedTuple, get_args, get_origin

import yaml
from pydantic import ValidationError

from saeflow.config.base import Section
from saeflow.config.schema import (
    choices,
    descriptions,
    in_words,
    is_section,
    keys_of,
    kinds_of,
    type_of,
    value_of,
)
from saeflow.errors import ConfigError

_SHOWN_KEYS = 16

_LIMITS = {
    "greater_than_equal": "at least {ge:.12g}",
    "greater_than": "more than {gt:.12g}",
    "less_than_equal": "at most {le:.12g}",
    "less_than": "less than {lt:.12g}",
}


class _Place(NamedTuple):
    """Where something was refused."""

    names: list[str]
    section: type[Section]  # the innermost
    type: Any  # what was to stand there


def explained(error: ValidationError, section: type[Section], where: object) -> ConfigError:
    """Return what pydantic has found first, as the error that a person reads.

    Parameters
    ----------
    error
        What the section's class raised.
    section
        The class.
    where
        Place of the section.
    """
    # a misspelt key goes before the one that is missing for it
    found = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    place = _find(section, found["loc"])
    if found["type"] in ("extra_forbidden", "missing"):
        return _of_key(found, place, where)
    if found["loc"][-1:] == ("[key]",) or found["type"] == "invalid_key":
        return _of_name(found, " > ".join([str(where), *place.names[:-1]]))
    return _of_value(found, place, " > ".join([str(where), *map(_printable, place.names)]))


def _of_key(found: dict[str, Any], place: _Place, where: object) -> ConfigError:
    """Return the error for a key that is too much or missing."""
    *above, key = [str(where), *map(_printable, place.names)]
    if found["type"] == "missing":
        about = descriptions(place.section).get(key, "").rstrip(".")
        return ConfigError(
            f"the key '{key}' is missing", where=" > ".join(above), expected=_begun(about or key)
        )
    known = list(keys_of(place.section))
    refused = no_such(f"unknown key '{key}'", key, known, where=" > ".join([*above, key]))
    if len(known) > _SHOWN_KEYS:
        first = ", ".join(known[:_SHOWN_KEYS])
        refused.expected = f"one of {first}, and more in docs/configuration.md"
    refused.remedy = refused.remedy or "Remove it or correct its name."
    return refused


def _of_name(found: dict[str, Any], above: str) -> ConfigError:
    """Return the error for a name that somebody chose."""
    name = found["input"]
    if isinstance(own := found.get("ctx", {}).get("error"), ConfigError):
        own.where, own.got = f"{above} > {_printable(name)}", shown(name)
        return own
    kind = {bool: "true or false", NoneType: "null"}.get(type(name), "a number")
    return ConfigError(
        f"YAML reads this name as {kind}",
        where=f"{above} > {shown(name)}",
        expected="a text",
        remedy="Put it in quotes.",
    )


def _of_value(found: dict[str, Any], place: _Place, path: str) -> ConfigError:
    kind, value, about = found["type"], found["input"], found.get("ctx", {})
    what, expected, remedy = "this is out of range", None, None
    if isinstance(own := about.get("error"), ConfigError):
        if own.got is None or not isinstance(value, dict):  # else it is about several keys
            own.got = shown(value)
        own.where = f"{path} > {own.where}" if own.where else path
        return own
    if kind == "kind":
        return _of_kind(about, place, path, value)
    if kind == "literal_error":
        what = "this is not one of the choices"
        expected = "one of " + ", ".join(map(shown, choices(place.type)))
    elif kind in _LIMITS:
        expected = _LIMITS[kind].format(**about)
    elif kind == "too_short":
        thing = "entry" if isinstance(value, dict) else "item"
        expected = f"at least {about['min_length']} {thing}"
    else:
        what = "this is not a finite number" if kind == "finite_number" else what
        what = "this is of the wrong type" if kind.endswith("_type") else what
        expected, remedy = in_words(place.type), _remedy(kind, value)
    return ConfigError(what, where=path, expected=expected, got=shown(value), remedy=remedy)


def _remedy(kind: str, value: Any) -> str | None:
    """Return what to write where YAML has read another type than was meant."""
    if kind == "int_type" and isinstance(value, float):
        return "Write it without a decimal point."
    if kind == "float_type" and isinstance(value, str):
        # YAML reads 1e-3 as a text; only 1.0e-3 is a number
        return "Write it with a decimal point, as in 1.0e-3, and without quotes."
    if kind == "string_type" and isinstance(value, int | float):
        return "Put it in quotes."
    return None


def _of_kind(about: dict[str, Any], place: _Place, path: str, value: Any) -> ConfigError:
    """Return the error for an entry of no kind, of several, or of an unknown one."""
    keys, word = about["keys"].split(), about["word"]
    words = [tag for tag in kinds_of(place.type) if tag not in keys]
    found = [key for key in keys if isinstance(value, dict) and key in value]
    if not found and isinstance(value, dict) and word in value:
        what = f"unknown {word} '{value[word]}'"
        return no_such(what, str(value[word]), words, where=f"{path} > {word}")
    known = found or [*keys, *([f"{word}: {', '.join(words)}"] if word else [])]
    return ConfigError(
        "this entry is of two kinds at once" if found else "this entry is of no known kind",
        where=path,
        expected="one of " + " | ".join(known),
        got=shown(value),
    )


def no_such(what: str, name: str, known: Iterable[str], *, where: object) -> ConfigError:
    """Return the error for a name that is not among the known ones, whatever its case."""
    known = list(known)
    lower = {other.lower(): other for other in known}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    return ConfigError(
        what,
        where=where,
        expected="one of " + ", ".join(known) if known else None,
        remedy=f"Did you mean '{lower[close[0]]}'?" if close else None,
    )


def _find(section: type[Section], loc: tuple[int | str, ...]) -> _Place:
    """Follow what pydantic calls a location."""
    names: list[str] = []
    holder, here = section, section
    for part in loc:
        if part == "[key]":
            break
        if kinds := kinds_of(here):
            here = kinds[str(part)]
            continue
        here = value_of(here)
        origin = get_origin(here)
        if is_section(here):
            holder, field = here, here.model_fields.get(part)
            here = Any if field is None else type_of(field)
        elif origin in (dict, list):
            here = get_args(here)[-1]
        names.append(f"[{part}]" if origin is list else str(part))
    return _Place(names, holder, here)


def _begun(text: str) -> str:
    return text[:1].lower() + text[1:]


def _printable(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)


def shown(value: Any) -> str:
    """Return a value as YAML, on one line and not too long."""
    if isinstance(value, str) and not value.isprintable():
        value = json.dumps(value)
    try:
        text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    except yaml.YAMLError:  # it does not come from a file
        text = repr(value)
    text = " ".join(text.removesuffix("...").split())
    return text if len(text) <= 60 else text[:57] + "..."
