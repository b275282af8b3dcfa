"""SAEs on models whose weights mean nothing, beside those on the real models.

What a study is told of them is `saeflow.studies.shuffled_section`. Read `on_shuffled_models`.
"""

from __future__ import annotations

from collections.abc import Iterator

from saeflow.studies.study import ON, Config, Row, every_sae, has


def on_shuffled_models(config: Config, section: Config) -> Iterator[Row]:
    """Yield the SAEs that are trained on shuffled models too, on these and on the real ones."""
    real = shuffled_of(config, section)["shuffled"]
    models = [*dict.fromkeys(real.values()), *real]
    hooks = section["hooks"] if section["control_hooks"] is None else section["control_hooks"]
    chosen = {**section, "models": models, "hooks": hooks}
    place, saes = section["control_on"], section["control_saes"]
    for row in every_sae(config, chosen, train_on=place, saes=saes):
        yield {**row, ON: place} if place else row


has_controls = has("control_models")


def shuffled_of(config: Config, section: Config) -> dict[str, dict[str, str]]:
    """Return the study's shuffled models, each with the model that it was made of."""
    return {
        "shuffled": {name: config["models"][name]["shuffle"] for name in section["control_models"]}
    }
