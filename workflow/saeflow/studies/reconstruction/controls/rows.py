"""Which SAEs are held against those of models whose weights mean nothing."""

from __future__ import annotations

from collections.abc import Iterator

from saeflow.studies.study import ON, Config, Row, every_sae


def on_shuffled_models(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs that are trained on shuffled models too, on these and on the real ones."""
    real = shuffled_of(config, section)["shuffled"]
    models = [*dict.fromkeys(real.values()), *real]
    hooks = section["hooks"] if section["control_hooks"] is None else section["control_hooks"]
    chosen = {**section, "models": models, "hooks": hooks}
    place, saes = section["control_on"], section["control_saes"]
    for row in every_sae(config, chosen, train_on=place, saes=saes):
        yield {**row, ON: place} if place else row


def imported(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's SAEs from elsewhere, measured on the texts that their paths name."""
    for row in every_sae(config, section):
        recipe = config["saes"][row["sae"]]
        if {"path", "hub"} & recipe.keys() and recipe.get("target") is None:
            yield {**row, ON: {"dataset": row["dataset"], "packing": row["packing"]}}


def shuffled_of(config: Config, section: Config) -> dict[str, dict[str, str]]:
    """Return the study's shuffled models, each with the model that it was made of."""
    return {
        "shuffled": {name: config["models"][name]["shuffle"] for name in section["control_models"]}
    }
