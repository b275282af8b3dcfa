"""What results were made from: the parts of every identity, kept so that they can be compared.

A record says under which identity it was made, and a hash does not say what it is the hash of.
So each job leaves a description of its parts, in a file named by the identity: it can be missing
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

_PARTS = ("rule", "settings", "code", "inputs")


def remember(job: Mapping[str, Any]) -> None:
    """Write down what a job was made from, unless that is known.

    Parameters
    ----------
    job
        The content of a job file.
    """
    path = paths.made_file(job["output"], job["identity"])
    if path.exists():
        return
    description = {name: job[name] for name in _PARTS}
    text = json.dumps(description, sort_keys=True, indent=1, ensure_ascii=False)
    write_atomic(path, text.encode(), flush=False)


def recall(record: Path, identity: str) -> dict[str, Any] | None:
    """Return the description of what ``record`` was made from under ``identity``.

    Returns
    -------
    dict or None
        ``rule``, ``settings``, ``code`` and ``inputs`` (record and identity by name); None where
        there is none, or it is damaged: its parts must hash to the identity.
    """
    try:
        description = json.loads(paths.made_file(record, identity).read_bytes())
        parts = {**description, "inputs": _identities(description["inputs"])}
        return description if identity_of(**parts) == identity else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _identities(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [one["identity"] for one in value] if isinstance(value, list) else value["identity"]
        for name, value in inputs.items()
    }
