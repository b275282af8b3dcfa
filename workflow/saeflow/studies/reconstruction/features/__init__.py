"""Features: which go with bad answers, and which cause them. Read `TABLES`, then `figures.py`."""

from __future__ import annotations

from collections.abc import Iterator

from saeflow.studies.reconstruction.features.figures import FIGURES
from saeflow.studies.reconstruction.rows import learned
from saeflow.studies.study import PROMPTS, Config, Row, Table, has

__all__ = ["FIGURES", "TABLES", "ablated"]

_SCORED = "saeflow.studies.reconstruction.features.scored"
_TABLES = "saeflow.studies.reconstruction.features.tables"


def _is_ablated(config: Config, section: Config) -> bool:
    return any(True for _ in ablated(config, section))


TABLES = {
    "feature_scores": Table(f"{_SCORED}:feature_scores", ("answers", "sae"), when=has("prompts")),
    "feature_correlations": Table(
        f"{_SCORED}:feature_correlations", ("answers", "sae"), when=has("prompts")
    ),
    "features": Table(f"{_TABLES}:features", ("answers", "ablations", "sae"), when=_is_ablated),
    "feature_effects": Table(
        f"{_TABLES}:feature_effects", ("answers", "ablations", "sae"), resampled=True,
        when=_is_ablated,
    ),
    "feature_agreement": Table(
        f"{_TABLES}:feature_agreement", ("answers", "ablations", "sae"), when=_is_ablated,
    ),
    "ablated_sets": Table(
        f"{_TABLES}:ablated_sets", ("ablations",), resampled=True, when=_is_ablated
    ),
}  # fmt: skip


def ablated(config: Config, section: Config) -> Iterator[Row]:
    """Yield each SAE that has features, with each prompt set on which these are ablated."""
    sets = section["ablate_on"] if section["ablate_on"] is not None else section["prompts"][:1]
    for row in learned(config, section):
        for name in sets:
            yield {**row, PROMPTS: name}
