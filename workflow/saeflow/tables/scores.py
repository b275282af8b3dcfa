"""The scores of language models on the built-in world, read from their benchmark records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saeflow.files import read_json


@dataclass(frozen=True)
class ModelScores:
    """What one model reached.

    Attributes
    ----------
    model, dataset : str
        Which model, on which generated dataset.
    scores : tuple of dict
        Rows as in `saeflow.measures.prompt_scores.Score`.
    """

    model: str
    dataset: str
    scores: tuple[Mapping[str, Any], ...]


def read_scores(paths: Iterable[Path]) -> list[ModelScores]:
    """Read ``models/{model}/on/{dataset}/{packing}/benchmarks.json`` records, sorted by model."""
    found = []
    for path in map(Path, paths):
        model, dataset = path.parts[-5], path.parts[-3]
        found.append(ModelScores(model, dataset, tuple(read_json(path)["scores"])))
    return sorted(found, key=lambda scores: (scores.model, scores.dataset))
