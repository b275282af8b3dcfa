"""What a language model can do on the built-in world: scores from what was counted.

Every score stands beside chance, simple baselines and its 95 % interval; one that cannot be told
from chance is marked. `saeflow.world.prompts` says what each set asks. Read `scores`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from saeflow.metrics.intervals import NORMAL_QUANTILE, interval, resample
from saeflow.metrics.metric import Measure

if TYPE_CHECKING:
    import pandas as pd

HELD_OUT = "held_out_loss"
MODEL = "model"
UNIFORM = "uniform"

REQUIRES = {
    HELD_OUT: "predicting every word of unseen documents",
    "last_word": "finding a word of the passage again by what stood before it (copying)",
    "cloze": "the same among ten objects, all of which the twenty sentences mention",
    "sentiment": "summing up graded, negated opinions in the state before the verdict",
    "indirect_object_abba": "preferring the name that was not repeated",
    "indirect_object_baba": "preferring the name that was not repeated",
    "owner_binding": "knowing which object belongs to whom; reported only: no gate",
}
"""What each task asks of a model, in words."""


@dataclass(frozen=True)
class Score:
    """What a model reached in one task."""

    task: str
    value: float
    low: float
    high: float
    """The score and its 95 % interval."""
    n: int
    """Prompts, or tokens for a loss."""
    chance: float
    """What blind guessing gets."""
    at_chance: bool
    """Whether the interval includes chance or lies on its wrong side."""
    unit: str = ""
    """Empty for shares, "nats" for losses (of which lower is better)."""
    requires: str = ""
    """What the task asks of the model, in words."""
    baselines: dict[str, float] = field(default_factory=dict)
    """What others get, by name."""


def scores(
    prompts: pd.DataFrame, documents: pd.DataFrame, *, bootstrap: int, seed: int
) -> list[Score]:
    """Return the scores of a model in every task.

    Parameters
    ----------
    prompts
        One row per ``task``, ``prompt`` and who answered it (``by``: `MODEL` or a baseline):
        whether that was ``correct``, and the ``chance`` of a blind guess.
    documents
        ``tokens`` of each held-out document that are scored, and their summed losses (nats):
        ``loss`` of the model, ``loss_<name>`` of baselines, `UNIFORM` among them.
    bootstrap, seed
        Number of resamples of the documents, and their seed.
    """
    sums = {name: documents[name].to_numpy(float) for name in documents if name != "document"}
    found = [held_out_loss(sums, bootstrap=bootstrap, seed=seed)]
    for task, rows in prompts.groupby("task", sort=False):
        by = {str(name): one for name, one in rows.groupby("by", sort=False)}
        model = by.pop(MODEL)
        found.append(
            share(
                str(task),
                model["correct"].to_numpy(bool),
                chance=float(model["chance"].mean()),
                baselines={name: float(one["correct"].mean()) for name, one in by.items()},
            )
        )
    return found


def held_out_loss(sums: Mapping[str, np.ndarray], *, bootstrap: int, seed: int) -> Score:
    """Return the mean loss per token, with an interval over documents; ``sums`` as in `scores`."""
    n = sums["tokens"].sum()
    means = {name: float(column.sum() / n) for name, column in sums.items()}
    drawn = resample(
        {name: sums[name] for name in ("loss", "tokens")}, samples=bootstrap, seed=seed
    )
    low, high = interval(drawn["loss"] / drawn["tokens"])
    if low is None or high is None:  # a single document: nothing to resample
        low = high = means["loss"]
    others = {
        name.removeprefix("loss_"): mean for name, mean in means.items() if name.startswith("loss_")
    }
    chance = others.pop(UNIFORM)
    return Score(
        HELD_OUT,
        means["loss"],
        low,
        high,
        int(n),
        chance,
        at_chance=high >= chance,
        unit="nats",
        requires=REQUIRES[HELD_OUT],
        baselines=others,
    )


def share(
    task: str, correct: np.ndarray, *, chance: float, baselines: Mapping[str, float]
) -> Score:
    """Return the score of a task with right and wrong answers (n,) bool."""
    low, high = wilson(int(correct.sum()), len(correct))
    return Score(
        task,
        float(correct.mean()),
        low,
        high,
        len(correct),
        chance,
        at_chance=low <= chance,
        requires=REQUIRES[task],
        baselines=dict(baselines),
    )


def wilson(n_correct: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, which never leaves [0, 1]."""
    z2 = NORMAL_QUANTILE**2
    p = n_correct / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


MEASURE = Measure(
    name="benchmarks",
    text="What a language model can do on the built-in world: the held-out loss, and the share of"
    " prompts that it answers, beside chance and baselines.",
    compute="saeflow.measures.benchmarks.measure:measure_benchmarks",
    reads=("model", "tokenizer", "dataset", "tokens"),
    of="model",
)
