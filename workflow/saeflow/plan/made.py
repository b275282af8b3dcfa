"""What results were made from: the parts of every identity, kept so that they can be compared.

A record says under which identity it was made, and a hash does not say what it is the hash of.
So each job leaves a description of the parts, in a file named by the identity: it can be missing
but never wrong, and those of earlier settings stay. No decision rests on it; `saeflow why` reads
it, and `saeflow clean` removes it with the result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.files import write_atomic
from saeflow.identity import identity_of

_PARTS = ("settings", "code", "inputs")


def remember(rule: str, result: Mapping[str, Any]) -> None:
    """Write down what a result was made from, unless that is known.

    Parameters
    ----------
    rule
        The rule that made it.
    result
        As `saeflow.plan.passes.describe` gives it.
    """
    path = paths.made_file(result["record"], result["identity"])
    if not path.exists():
        description = {"rule": rule, **{name: result[name] for name in _PARTS}}
        _write(path, description)


def keep_code(digest: str, closure: Mapping[str, str]) -> None:
    """Write down of which definitions a digest of code is, unless that is known."""
    path = paths.code_file(digest)
    if not path.exists():
        _write(path, closure)


def recall(record: Path, identity: str) -> dict[str, Any] | None:
    """Return the description of what ``record`` was made from under ``identity``.

    Returns
    -------
    dict or None
        ``rule``, ``settings``, ``code`` (digest by definition, empty where it was not kept) and
        ``inputs`` (record and identity by name); None where there is none, or it is damaged: its
        parts must hash to the identity.
    """
    try:
        description = json.loads(paths.made_file(record, identity).read_bytes())
        parts = {**description, "inputs": _identities(description["inputs"])}
        if identity_of(**parts) != identity:
            return None
        return {**description, "code": _recall_code(description["code"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _recall_code(digest: str) -> dict[str, str]:
    try:
        return json.loads(paths.code_file(digest).read_bytes())
    except (OSError, ValueError):
        return {}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False)
    write_atomic(path, text.encode(), flush=False)


def _identities(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [one["identity"] for one in value] if isinstance(value, list) else value["identity"]
        for name, value in inputs.items()
    }
