"""Which SAEs come from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from saeflow.sae.formats import is_imported
from saeflow.studies.study import ON, Config, Row, every_sae


def imported(config: Config, section: Config) -> Iterator[Row]:
    """Yield the study's SAEs from elsewhere, measured on the texts that their paths name."""
    for row in every_sae(config, section):
        recipe = config["saes"][row["sae"]]
        if is_imported(recipe) and recipe.get("target") is None:
            yield {**row, ON: {"dataset": row["dataset"], "packing": row["packing"]}}
