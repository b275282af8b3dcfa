"""What the language models can do, beside chance and simple baselines."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from saeflow.tables.scores import ModelScores

READS = ("benchmarks",)
COLUMNS = (
    "model",
    "dataset",
    "task",
    "unit",
    "requires",
    "series",
    "value",
    "low",
    "high",
    "n",
    "at_chance",
)
MODEL, CHANCE = "model", "chance"


def build(models: Sequence[ModelScores]) -> pd.DataFrame:
    """Return one row per (model, task, series).

    The series are `MODEL`, `CHANCE` and the names of the baselines; only the model has an
    interval. ``at_chance`` says of the task that the model cannot be told from chance.
    """
    rows = []
    for of_model in models:
        for score in of_model.scores:
            first = {
                "model": of_model.model,
                "dataset": of_model.dataset,
                **{name: score[name] for name in ("task", "unit", "requires", "n", "at_chance")},
            }
            rows.append(
                {
                    **first,
                    "series": MODEL,
                    "value": score["value"],
                    "low": score["low"],
                    "high": score["high"],
                }
            )
            others = {CHANCE: score["chance"], **score["baselines"]}
            rows += [{**first, "series": name, "value": v} for name, v in others.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))
