"""Check a configuration against the schema, in a person's words, and fill its defaults.

`complete` is the one function to read first. The schema is plain JSON Schema; where it offers
alternatives (``oneOf``), the alternative is chosen by its first required key or by its
``architecture``, so that the message speaks of the one that was meant.
"""

from __future__ import annotations

import copy
import difflib
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from saeflow.errors import ConfigError

SCHEMA_FILE = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"

_SHOWN_KEYS = 16

_TYPES = {
    "object": "keys and values",
    "array": "a list",
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


@cache
def load_schema() -> dict[str, Any]:
    """Return the configuration's schema."""
    return yaml.safe_load(SCHEMA_FILE.read_text())


def complete(config: dict[str, Any], *, file: str) -> dict[str, Any]:
    """Return a copy of ``config`` that meets the schema, with every default filled in.

    Parameters
    ----------
    config
        The configuration as read from YAML.
    file
        Name of the file, for messages.

    Raises
    ------
    ConfigError
        For the first thing that the schema does not allow.
    """
    result = copy.deepcopy(config)
    _visit(load_schema(), result, [file])
    return result


def _visit(schema: dict[str, Any], value: Any, where: list[str]) -> None:
    """Validate one level, fill its defaults, then go on to what lies below."""
    schema = _resolve(schema, value, where)
    _check(schema, value, where)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key, below in known.items():
            described = _follow(below)
            if key not in value and "default" in described:
                value[key] = copy.deepcopy(described["default"])
        for key, item in value.items():
            below = known.get(key, schema.get("additionalProperties"))
            if isinstance(below, dict):
                _visit(below, item, [*where, str(key)])
                value[key] = _normal(below, item)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            _visit(schema["items"], item, [*where, f"[{index}]"])


def _normal(schema: dict[str, Any], value: Any) -> Any:
    """Give a number the one form by which 1 and 1.0 are the same setting."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_number and _follow(schema).get("type") == "number" else value


def _follow(schema: dict[str, Any]) -> dict[str, Any]:
    """Replace a reference by what it names; keys beside it win."""
    if "$ref" not in schema:
        return schema
    target = load_schema()
    for part in schema["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**_follow(target), **{k: v for k, v in schema.items() if k != "$ref"}}


def _resolve(schema: dict[str, Any], value: Any, where: list[str]) -> dict[str, Any]:
    schema = _follow(schema)
    if "oneOf" not in schema:
        return schema
    branches = [_follow(branch) for branch in schema["oneOf"]]
    labels = [_label(branch) for branch in branches]
    if isinstance(value, dict):
        kinds = [key for key, constant in labels if constant is None and key in value]
        if len(kinds) > 1:
            raise ConfigError(
                "this entry is of two kinds at once",
                where=_place(where),
                expected="one of " + " | ".join(kinds),
                got=_shown(value),
            )
        for branch, (key, constant) in zip(branches, labels, strict=True):
            if key in value and (constant is None or value[key] == constant):
                return branch
    words = [key for key, c in labels if c is None]
    for key in dict.fromkeys(key for key, c in labels if c is not None):
        words.append(f"{key}: " + ", ".join(str(c) for k, c in labels if k == key))
    choices = " | ".join(words)
    shared = next(iter({key for key, c in labels if c is not None}), None)
    if shared and isinstance(value, dict) and shared in value:
        known = [str(c) for _, c in labels if c is not None]
        close = _alike(str(value[shared]), known)
        raise ConfigError(
            f"unknown {shared} '{value[shared]}'",
            where=_place([*where, shared]),
            expected="one of " + ", ".join(known),
            remedy=f"Did you mean '{close[0]}'?" if close else None,
        )
    raise ConfigError(
        "this entry is of no known kind",
        where=_place(where),
        expected=f"one of {choices}",
        got=_shown(value),
    )


def _label(branch: dict[str, Any]) -> tuple[str, str | None]:
    key = branch["required"][0]
    return key, branch["properties"][key].get("const")


def _check(schema: dict[str, Any], value: Any, where: list[str]) -> None:
    """Raise for the first error on this level; deeper ones are found on the way down."""
    shallow = {
        k: v
        for k, v in schema.items()
        if k not in ("properties", "additionalProperties", "items", "propertyNames", "$defs")
    }
    error = next(Draft202012Validator(shallow).iter_errors(value), None)
    if error is not None:
        raise _explain(error, schema, value, where)
    if isinstance(value, float):
        _check_float(schema, value, where)
    if not isinstance(value, dict):
        return
    for key in value:
        _check_key(schema, key, where)


def _check_float(schema: dict[str, Any], value: float, where: list[str]) -> None:
    """Refuse what JSON Schema lets through: not-a-number, infinities, 8.0 for an integer."""
    whole = schema.get("type") == "integer"
    if whole or not math.isfinite(value):
        raise ConfigError(
            "this is of the wrong type" if whole else "this is not a finite number",
            where=_place(where),
            expected=type_in_words("integer" if whole else "number"),
            got=_shown(value),
            remedy="Write it without a decimal point." if whole else None,
        )


def _check_key(schema: dict[str, Any], key: Any, where: list[str]) -> None:
    known = list(schema.get("properties", {}))
    if key not in known and schema.get("additionalProperties", True) is False:
        close = _alike(str(key), known)
        raise ConfigError(
            f"unknown key '{key}'",
            where=_place([*where, str(key)]),
            expected="one of "
            + ", ".join(known[:_SHOWN_KEYS])
            + (", and more in docs/configuration.md" if len(known) > _SHOWN_KEYS else ""),
            remedy=f"Did you mean '{close[0]}'?" if close else "Remove it or correct its name.",
        )
    names = _follow(schema["propertyNames"]) if "propertyNames" in schema else None
    if names and not Draft202012Validator(names).is_valid(key):
        raise ConfigError(
            f"the name '{_printable(str(key))}' cannot be part of a path",
            where=_place([*where, str(key)]),
            expected="at most 64 letters, digits, '.', '_', '+' or '-', beginning with a letter"
            " or digit",
            got=_shown(key),
            remedy="Choose another name.",
        )


def _explain(
    error: ValidationError, schema: dict[str, Any], value: Any, where: list[str]
) -> ConfigError:
    if error.validator == "required":
        missing = next(k for k in schema["required"] if k not in value)
        about = _follow(schema["properties"][missing]).get("description", "").rstrip(".")
        return ConfigError(
            f"the key '{missing}' is missing",
            where=_place(where),
            expected=_begun(about or missing),
        )
    expected = {
        "type": lambda s: type_in_words(s["type"]),
        "enum": lambda s: "one of " + ", ".join(_shown(v) for v in s["enum"]),
        "const": lambda s: _shown(s["const"]),
        "minimum": lambda s: f"at least {s['minimum']}",
        "exclusiveMinimum": lambda s: f"more than {s['exclusiveMinimum']}",
        "maximum": lambda s: f"at most {s['maximum']}",
        "exclusiveMaximum": lambda s: f"less than {s['exclusiveMaximum']}",
        "pattern": lambda s: _begun(s.get("description", s["pattern"]).rstrip(".")),
        "minItems": lambda s: f"at least {s['minItems']} item",
        "minProperties": lambda s: f"at least {s['minProperties']} entry",
        "maxProperties": lambda s: f"at most {s['maxProperties']} entry",
        "uniqueItems": lambda _: "each item once",
        "minLength": lambda _: "a text",
    }[str(error.validator)](schema)
    remedy = None
    if error.validator == "type" and "a number" in expected and isinstance(value, str):
        # YAML reads 1e-3 as a text; only 1.0e-3 is a number.
        remedy = "Write it with a decimal point, as in 1.0e-3, and without quotes."
    what = {
        "type": "this is of the wrong type",
        "enum": "this is not one of the choices",
        "pattern": "this is not of the right form",
    }.get(str(error.validator), "this is out of range")
    return ConfigError(
        what, where=_place(where), expected=expected, got=_shown(value), remedy=remedy
    )


def _alike(name: str, known: list[str]) -> list[str]:
    """Return the known name that was probably meant, if any, whatever its case."""
    lower = {other.lower(): other for other in known}
    return [lower[other] for other in difflib.get_close_matches(name.lower(), lower, n=1)]


def type_in_words(names: str | list[str]) -> str:
    """Return JSON Schema's name of a type, or several, as a person would say it."""
    words = [_TYPES[name] for name in ([names] if isinstance(names, str) else names)]
    return " or ".join(words)


def _begun(text: str) -> str:
    return text[:1].lower() + text[1:]


def _place(where: list[str]) -> str:
    return " > ".join(_printable(part) for part in where)


def _printable(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)


def _shown(value: Any) -> str:
    if isinstance(value, str) and not value.isprintable():
        value = json.dumps(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    text = " ".join(text.removesuffix("...").split())
    return text if len(text) <= 60 else text[:57] + "..."
