"""What a result is: a hash of its settings, of the code that makes it and of what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saeflow.files import canonical_json, sha256_text


def identity_of(
    *, rule: str, settings: Mapping[str, Any], code: str, inputs: Mapping[str, Any]
) -> str:
    """Return the identity of a result: a SHA-256 in hexadecimal.

    Parameters
    ----------
    rule
        The rule that makes it.
    settings
        The resolved settings that can change the result's bytes, and no others.
    code
        Digest of the definitions that make it (`saeflow.code.Source.digest`).
    inputs
        Identity, or list of identities, by input name: a Merkle chain.
    """
    parts = {"rule": rule, "settings": settings, "code": code, "inputs": inputs}
    return sha256_text(canonical_json(parts))
