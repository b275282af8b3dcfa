"""The tables of what was fitted: SAEs by recipe, and by method of fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saeflow.hooks import Hook
from saeflow.report.words import Entries, Section, but, listed, number, several
from saeflow.tables.runs import Key, natural

_SHOWN = ("architecture", "solver", "method", "tokens", "learning_rate", "batch_size", "own")
_FIRST = ("k", "target_l0", "l1", "l0_coef", "p_start", "p_end")
"""What makes an SAE sparse: what one looks for among its settings."""

_SOLVERS = {
    "steps": "gradient steps",
    "exact": "closed form",
    "kl_mse": "gradient steps, KL and MSE",
}


def saes(settings: Entries, there: Entries) -> Section:
    """Return the recipes of SAEs: how they were fitted, where, and how many."""
    rows, common = [], _common(settings)
    for name, own in sorted(settings.items(), key=lambda item: natural(item[0])):
        imported = own.get("imported")
        keys = [Key.of_path(path) for path, _ in there[name]]
        facts = [record for _, record in there[name] if record]
        rows.append(
            {
                "recipe": name,
                "architecture": several(record.get("architecture") for record in facts)
                or str(own.get("architecture", "")),
                "d_in": several(record.get("d_in") for record in facts),
                "latents": several(record.get("d_sae") for record in facts),
                "tokens trained on": _tokens(own, facts),
                **_steps(own),
                "hooks": ", ".join(sorted({key.hook for key in keys}, key=Hook.parse)),
                "seeds": ", ".join(map(str, sorted({key.seed for key in keys}))),
                "SAEs": made(there[name]),
                "own settings": f"imported: {listed(imported)}"
                if imported
                else listed(_told(own, common)),
            }
        )
    return Section("Sparse autoencoders", rows, _fitted_with(common))


def methods(settings: Entries, there: Entries) -> Section:
    """Return the methods of fine-tuning: how they fit what, of which recipes."""
    rows, common = [], _common(settings)
    for name, own in sorted(settings.items(), key=lambda item: natural(item[0])):
        facts = [record for _, record in there[name] if record]
        rows.append(
            {
                "method": name,
                "solver": _SOLVERS.get(own["solver"], own["solver"]),
                "what is fitted": own["method"].replace("_", " "),
                "tokens fitted to": _tokens(own, facts),
                **_steps(own),
                "of recipes": ", ".join(
                    dict.fromkeys(Key.of_path(path).sae for path, _ in there[name])
                ),
                "SAEs": made(there[name]),
                "own settings": listed(_told(own, common)),
            }
        )
    return Section("Fine-tuning", rows, _fitted_with(common))


def _told(own: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of one fit in which it differs from others, its penalty first."""
    left = but({**own["own"], **_shared(own)}, *common)
    return {name: left[name] for name in _FIRST if name in left} | left


def _shared(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a fit that every kind of fit has, without those with a column."""
    return but(own, *_SHOWN, "imported")


def _common(settings: Entries) -> dict[str, Any]:
    """Return the settings in which all fits by steps agree."""
    fits = [{**own["own"], **_shared(own)} for own in settings.values() if "learning_rate" in own]
    first = fits[0] if fits else {}
    return {k: v for k, v in first.items() if all(fit.get(k) == v for fit in fits)}


def _fitted_with(common: Mapping[str, Any]) -> str:
    """Return how fits by steps are made, in words; "" where there are none."""
    if not common:
        return ""
    text = (
        "By Adam. Learning rates rise over a twentieth of the tokens and fall over the last fifth,"
        " unless settings say otherwise."
    )
    return f"{text} All alike: {listed(common)}."


def _tokens(own: Mapping[str, Any], facts: Sequence[Mapping[str, Any]]) -> str:
    trained = [_mapping(_mapping(record).get("training")).get("tokens") for record in facts]
    return several(trained) or number(own.get("tokens"))


def _steps(own: Mapping[str, Any]) -> dict[str, str]:
    keys = {"learning rate": "learning_rate", "batch": "batch_size"}
    return {head: number(own.get(key)) for head, key in keys.items()}


def made(found: Sequence[tuple[Path, Mapping[str, Any]]]) -> str:
    """Return how many of some results there are."""
    n = sum(bool(record) for _, record in found)
    return f"{n:,}" if n == len(found) else f"{n:,} of {len(found):,}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
