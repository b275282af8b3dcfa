"""Check a configuration against the schema, in a person's words, and fill its defaults.

`complete` is the one function to read first. The schema is plain JSON Schema; where it offers
alternatives (``oneOf``), the alternative is chosen by its first required key or by its
``architecture``, so that the message speaks of the one that was meant.
"""

from __future__ import annotations

import copy
import difflib
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from saeflow.errors import ConfigError

SCHEMA_FILE = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"


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
            default = _default(below)
            if key not in value and default is not None:
                value[key] = copy.deepcopy(default)
        for key, item in value.items():
            below = known.get(key, schema.get("additionalProperties"))
            if isinstance(below, dict):
                _visit(below, item, [*where, str(key)])
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            _visit(schema["items"], item, [*where, f"[{index}]"])


def _default(schema: dict[str, Any]) -> Any:
    return schema["default"] if "default" in schema else _follow(schema).get("default")


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
        for branch, (key, constant) in zip(branches, labels, strict=True):
            if key in value and (constant is None or value[key] == constant):
                return branch
    choices = " | ".join(key if c is None else f"{key}: {c}" for key, c in labels)
    shared = next(iter({key for key, c in labels if c is not None}), None)
    if shared and isinstance(value, dict) and shared in value:
        known = [str(c) for _, c in labels]
        close = difflib.get_close_matches(str(value[shared]), known, n=1)
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
    if not isinstance(value, dict):
        return
    for key in value:
        _check_key(schema, key, where)


def _check_key(schema: dict[str, Any], key: Any, where: list[str]) -> None:
    known = list(schema.get("properties", {}))
    if key not in known and schema.get("additionalProperties", True) is False:
        close = difflib.get_close_matches(str(key), known, n=1)
        raise ConfigError(
            f"unknown key '{key}'",
            where=_place([*where, str(key)]),
            expected="one of " + ", ".join(known),
            remedy=f"Did you mean '{close[0]}'?" if close else "Remove it or correct its name.",
        )
    names = _follow(schema["propertyNames"]) if "propertyNames" in schema else None
    if names and not Draft202012Validator(names).is_valid(key):
        raise ConfigError(
            f"the name '{key}' cannot be part of a path",
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
            f"the key '{missing}' is missing", where=_place(where), expected=about or missing
        )
    expected = {
        "type": lambda s: s["type"] if isinstance(s["type"], str) else " or ".join(s["type"]),
        "enum": lambda s: "one of " + ", ".join(_shown(v) for v in s["enum"]),
        "const": lambda s: _shown(s["const"]),
        "minimum": lambda s: f"at least {s['minimum']}",
        "exclusiveMinimum": lambda s: f"more than {s['exclusiveMinimum']}",
        "maximum": lambda s: f"at most {s['maximum']}",
        "pattern": lambda s: s.get("description", s["pattern"]).rstrip("."),
        "minItems": lambda s: f"at least {s['minItems']} item",
        "minProperties": lambda s: f"at least {s['minProperties']} entry",
        "maxProperties": lambda s: f"at most {s['maxProperties']} entry",
        "uniqueItems": lambda s: "each item once",
        "minLength": lambda s: "a text",
    }[str(error.validator)](schema)
    remedy = None
    if error.validator == "type" and "number" in expected and isinstance(value, str):
        # YAML reads 1e-3 as a text; only 1.0e-3 is a number.
        remedy = "Write it with a decimal point, as in 1.0e-3, and without quotes."
    what = {
        "type": "this is of the wrong type",
        "enum": "this is not one of the choices",
        "pattern": "this is not of the right form",
    }.get(str(error.validator), "this is out of range")
    return ConfigError(what, where=_place(where), expected=expected, got=_shown(value), remedy=remedy)


def _place(where: list[str]) -> str:
    return " > ".join(where)


def _shown(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip()
    text = text.removesuffix("...").strip()
    return text if len(text) <= 60 else text[:57] + "..."
