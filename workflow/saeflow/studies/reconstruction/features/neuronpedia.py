"""Where a feature of a public SAE is shown on Neuronpedia. Read `page_of`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PAGE = "https://www.neuronpedia.org/{sae}/{latent}"
_RES_JB = ("jbloom/GPT2-Small-SAEs-Reformatted", "jbloom/GPT2-Small-SAEs")
_RES_JB_HOOK = re.compile(r"blocks\.(\d+)\.hook_resid_(pre|post)")
_LAST_BLOCK = 11  # GPT-2's, after which Neuronpedia's layer 12 lies


def page_of(sae: Mapping[str, Any], latent: int) -> str:
    """Return the address of a feature's page; "" where none is known.

    Parameters
    ----------
    sae
        The record of the SAE: what its files said (``neuronpedia_id``), and the ``settings`` of
        its import.
    latent
        The feature.
    """
    name = sae.get("neuronpedia_id") or _res_jb(sae.get("settings") or {})
    return _PAGE.format(sae=name, latent=latent) if name else ""


def _res_jb(settings: Mapping[str, Any]) -> str:
    """Return the name of one of the SAEs of the post, whose files do not say it."""
    if settings.get("hub") not in _RES_JB:
        return ""
    found = _RES_JB_HOOK.search(settings.get("folder") or settings.get("file") or "")
    if found is None:
        return ""
    block, after = int(found[1]), found[2] == "post"
    if after and block != _LAST_BLOCK:
        return ""
    return f"gpt2-small/{block + after}-res-jb"
