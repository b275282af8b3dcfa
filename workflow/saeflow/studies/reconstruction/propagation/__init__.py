"""What becomes of an SAE's error in later layers: how SAEs there do, and by which way it acts."""

from __future__ import annotations

from saeflow.metrics.registry import metrics_of
from saeflow.studies.reconstruction.rows import upstream
from saeflow.studies.study import Config, Figure, Table

_HERE = "saeflow.studies.reconstruction.propagation"


def has_later(config: Config, section: Config) -> bool:
    """Say whether an SAE of the study has others after it."""
    return any(upstream(config, section))


ROWS_OF = {"propagation": upstream}

TABLES: dict[str, Table] = {
    "propagation": Table(
        f"{_HERE}.tables:propagation", ("propagation", "reconstruction"), ("l0", "fvu"),
        resampled=True, when=has_later,
    ),
    "propagation_split": Table(
        f"{_HERE}.tables:split", ("propagation",), tuple(metrics_of("propagation")),
        resampled=True, when=has_later,
    ),
}  # fmt: skip

FIGURES: dict[str, Figure] = {}
