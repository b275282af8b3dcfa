"""SAEs that are taken from elsewhere. Read `imported_sae`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saeflow import registry
from saeflow.plan.local import HASH, hash_of, local_files
from saeflow.plan.modules import architecture_modules
from saeflow.plan.result import Result

PLACEHOLDERS = ("hook", "site", "block", "seed")
"""What a path or a folder may name in braces: one entry then serves many places."""

_PLACES = ("path", "folder", "file")


def varies(entry: Mapping[str, Any], placeholder: str) -> bool:
    """Whether an imported entry's files differ with a placeholder."""
    return any(f"{{{placeholder}}}" in (entry.get(place) or "") for place in _PLACES)


def filled(text: str, hook: str, seed: int) -> str:
    """Return a path or folder with its placeholders replaced.

    Parameters
    ----------
    text
        "gpt2/blocks.{block}.hook_{site}"; other braces stay.
    hook, seed
        Of the SAE.
    """
    site, _, block = hook.partition(".")
    values = {"hook": hook, "site": site, "block": block, "seed": str(seed)}
    for name in PLACEHOLDERS:
        text = text.replace(f"{{{name}}}", values[name])
    return text


def imported_sae(
    entry: Mapping[str, Any],
    output: Path,
    *,
    place: Mapping[str, str],
    model: Result,
    seed: int,
    where: str,
) -> Result:
    """Return an SAE of others in our form.

    Parameters
    ----------
    entry
        Under ``saes``, with defaults filled in.
    output
        The SAE's record.
    place
        Its model, dataset, packing and hook.
    model
        The model that it belongs to.
    seed
        What ``{seed}`` in a path stands for.
    where
        The entry in the configuration, for messages.
    """
    settings = {**entry, "hook": place["hook"]}
    for name in _PLACES:
        if settings.get(name):
            settings[name] = filled(settings[name], place["hook"], seed)
    arguments: dict[str, Any] = {}
    if "path" in settings:
        path = settings.pop("path")
        files = local_files("import_saes", path, settings, where=f"{where} > path")
        arguments["path"] = str(Path(path).expanduser())
        settings[HASH] = hash_of(files)
    formats = registry.names("sae.formats") if entry["format"] == "auto" else [entry["format"]]
    return Result(
        rule="import_saes",
        place=place,
        output=output,
        settings=settings,
        inputs={"model": model},
        code_roots=(
            *architecture_modules(entry),
            "saeflow.sae.saved.foreign",
            *(f"saeflow.sae.formats.{name}" for name in formats),
        ),
        arguments=arguments,
        suffix="",
    )
