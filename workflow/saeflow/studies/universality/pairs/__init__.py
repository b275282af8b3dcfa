"""How similar the features of two SAEs are, beside what chance gives."""

from __future__ import annotations

from saeflow.metrics.registry import MEASURES
from saeflow.studies.study import Figure, Table
from saeflow.studies.universality.comparisons import given_pairs

_HERE = "saeflow.studies.universality.pairs"
_METRICS = tuple(metric.name for metric in MEASURES["similarity"].metrics)

TABLES: dict[str, Table] = {
    "similarities": Table(
        f"{_HERE}.tables:similarities", ("similarity", "sae"), _METRICS, given=given_pairs,
        resampled=True,
    ),
    "spaces": Table(f"{_HERE}.tables:spaces", ("similarity", "sae"), given=given_pairs),
    "counts": Table(f"{_HERE}.tables:counts", ("codes", "sae")),
}  # fmt: skip

FIGURES: dict[str, Figure] = {}
