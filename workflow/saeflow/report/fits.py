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
        found = there[name]
        imported = own.get("imported")
        facts = [record for _, record in found if record]
        rows.append(
            [
                name,
                several(record.get("architecture") for record in facts)
                or str(own.get("architecture", "")),
                several(record.get("d_in") for record in facts),
                several(record.get("d_sae") for record in facts),
                *_training(own, facts),
                *_places(found),
                f"imported: {listed(imported)}" if imported else listed(_told(own, common)),
            ]
        )
    columns = (
        *("recipe", "architecture", "d_in", "latents", "tokens trained on", "learning rate"),
        *("batch", "hooks", "seeds", "SAEs", "own settings"),
    )
    return Section("Sparse autoencoders", columns, rows, _fitted_with(common))


def methods(settings: Entries, there: Entries) -> Section:
    """Return the methods of fine-tuning: how they fit what, of which recipes."""
    rows, common = [], _common(settings)
    for name, own in sorted(settings.items(), key=lambda item: natural(item[0])):
        found = there[name]
        parents = dict.fromkeys(Key.of_path(path).sae for path, _ in found)
        facts = [record for _, record in found if record]
        rows.append(
            [
                name,
                _SOLVERS.get(own["solver"], own["solver"]),
                own["method"].replace("_", " "),
                *_training(own, facts),
                ", ".join(parents),
                *_places(found)[2:],
                listed(_told(own, common)),
            ]
        )
    columns = (
        *("method", "solver", "what is fitted", "tokens fitted to", "learning rate", "batch"),
        *("of recipes", "SAEs", "own settings"),
    )
    return Section("Fine-tuning", columns, rows, _fitted_with(common))


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


def _training(own: Mapping[str, Any], facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return tokens, learning rate and batch size of fits."""
    trained = [_mapping(_mapping(record).get("training")).get("tokens") for record in facts]
    tokens = several(trained) or number(own.get("tokens"))
    return [tokens, number(own.get("learning_rate")), number(own.get("batch_size"))]


def _places(found: Sequence[tuple[Path, Mapping[str, Any]]]) -> list[str]:
    """Return hooks and seeds of SAEs, and how many there are."""
    keys = [Key.of_path(path) for path, _ in found]
    hooks = sorted({key.hook for key in keys}, key=Hook.parse)
    seeds = sorted({key.seed for key in keys})
    return [", ".join(hooks), ", ".join(map(str, seeds)), made(found)]


def made(found: Sequence[tuple[Path, Mapping[str, Any]]]) -> str:
    """Return how many of some results there are."""
    n = sum(bool(record) for _, record in found)
    return f"{n:,}" if n == len(found) else f"{n:,} of {len(found):,}"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
