"""What the language models can do, beside chance and simple baselines: the table, and in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from saeflow.metrics.benchmarks import HELD_OUT, MODEL, scores
from saeflow.tables.runs import Run

COLUMNS = (
    "model", "dataset", "task", "unit", "requires", "series", "value", "low", "high", "n",
    "at_chance",
)  # fmt: skip
CHANCE = "chance"
"""The series of what blind guessing gets."""


def language_model(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return one row per (model, task, series).

    The series are `MODEL`, `CHANCE` and the names of the baselines; only the model has an
    interval. ``at_chance`` says of the task that the model cannot be told from chance.
    """
    rows = []
    for run in runs:
        prompts = run.records["benchmarks"].table("prompts.parquet")
        documents = run.documents("benchmarks")
        for score in scores(prompts, documents, bootstrap=bootstrap, seed=seed):
            first = {
                "model": run.key.model,
                "dataset": run.key.eval_dataset,
                **{name: getattr(score, name) for name in ("task", "unit", "requires", "n")},
                "at_chance": score.at_chance,
            }
            own = {"value": score.value, "low": score.low, "high": score.high}
            rows.append({**first, "series": MODEL, **own})
            others = {CHANCE: score.chance, **score.baselines}
            rows += [{**first, "series": name, "value": v} for name, v in others.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def summary(tables: Mapping[str, pd.DataFrame]) -> str:
    """Say of each model how well it predicts held-out text, and which tasks it has learned."""
    by_model = tables["language_model"].groupby("model", sort=False)
    return " ".join(sentence for model, rows in by_model for sentence in _of_model(model, rows))


def _of_model(model: str, rows: pd.DataFrame) -> Iterator[str]:
    own, chance = (rows[rows["series"] == name].set_index("task") for name in (MODEL, CHANCE))
    loss = own.loc[HELD_OUT]
    text = (
        f"{model} predicts held-out text with {loss['value']:.3f} nats per token"
        f" ({loss['low']:.3f} to {loss['high']:.3f})"
    )
    of_trigrams = rows[(rows["task"] == HELD_OUT) & (rows["series"] == "trigram")]["value"]
    yield text + "".join(f"; counts of trigrams reach {value:.3f}" for value in of_trigrams) + "."
    tasks = own.drop(HELD_OUT)
    named = [
        f"{task.replace('_', ' ')} ({100 * value:.3g} %,"
        f" by chance {100 * chance.at[task, 'value']:.2g} %)"
        for task, value in tasks.loc[~tasks["at_chance"], "value"].items()
    ]
    if named:  # the report names those at chance by itself
        yield f"It answers better than chance: {', '.join(named)}."
