"""Which SAEs a configuration of the suppression study has, and what there is to show of them."""

from __future__ import annotations

from collections.abc import Iterator

from saeflow.studies.study import Config, Row, every_sae
from saeflow.studies.suppression.laws import may_have_law

FROZEN = ("scale", "unrotated_decoder", "decoder")
"""What may be trainable where the encoder stays as it was."""


def rows(config: Config, section: Config) -> Iterator[Row]:
    """Yield each SAE, followed by what it was fine-tuned to if its recipe is among those tuned."""
    tuned = _tuned(config, section)
    for row in every_sae(config, section):
        yield row
        if row["sae"] in tuned:
            for method in section["methods"]:
                yield {**row, "sae": f"{row['sae']}~{method}"}


def _tuned(config: Config, section: Config) -> list[str]:
    """Return the recipes under ``tune``; without it, those of the ReLU architecture."""
    if section["tune"] is not None:
        return [name for name in section["saes"] if name in section["tune"]]
    relu = (n for n in section["saes"] if config["saes"][n].get("architecture") == "relu")
    return list(relu)


def _fitted(config: Config, section: Config) -> set[tuple[str, str]]:
    """Return what is trainable in the fine-tuned SAEs, and how it is found."""
    if not _tuned(config, section):
        return set()
    methods = (config["methods"][name] for name in section["methods"])
    return {(method["method"], method["solver"]) for method in methods}


def is_tuned(config: Config, section: Config) -> bool:
    """Say whether an SAE is fine-tuned."""
    return bool(_fitted(config, section))


def has_decoders(config: Config, section: Config) -> bool:
    """Say whether a decoder is fine-tuned, directions included, by the squared error alone."""
    return bool({("decoder", "steps"), ("decoder", "exact")} & _fitted(config, section))


def has_penalty(config: Config, section: Config) -> bool:
    """Say whether a decoder is fine-tuned whose latents the loss is predicted to have weakened."""
    paid = any(may_have_law(config["saes"][name]) for name in _tuned(config, section))
    return paid and has_decoders(config, section)


def has_closed_form(config: Config, section: Config) -> bool:
    """Say whether the same weights are found by steps and in closed form."""
    fitted = _fitted(config, section)
    return any((fit, "exact") in fitted for fit, solver in fitted if solver == "steps")
