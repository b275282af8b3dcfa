"""The tables of what a model answers to prompts with SAEs in it.

A row is about an SAE on a prompt set (`answers`, `classes`) or about a prompt (`outcomes`,
`examples`). Those about prompts have one seed of each recipe, without baselines and fine-tuned
SAEs, or they would have as many rows as all prompts have answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from saeflow.prompts.prompt import CHOICE
from saeflow.studies.reconstruction.benchmarks import OUTCOMES
from saeflow.tables.builders import KEY, columns, stack, with_ends
from saeflow.tables.runs import ORIGINAL, Run

PROMPTS = "prompts"
WHOLE, FIRST, AMONG = "whole answer", "first token", "among candidates"
_RIGHT = {WHOLE: "right", FIRST: "right_first", AMONG: "right_choice"}
_TEXTS = ("end", "answer", "top_clean", "top")


def answers(
    runs: Sequence[Run], *, metrics: Sequence[str], bootstrap: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return one row per prompt set and SAE: metrics with intervals over resampled prompts."""
    rows = [
        {
            **_place(run),
            "baseline": run.baseline,
            "kind": run.records["answers"].facts["kind"],
            "n_prompts": len(run.documents("answers")),
            **columns(run.estimates(metrics, bootstrap=bootstrap, seed=seed)),
        }
        for run in _asked(runs)
    ]
    wanted = [PROMPTS, *KEY, "baseline", "kind", "n_prompts", *with_ends(metrics)]
    return pd.DataFrame(rows, columns=wanted)


def classes(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per prompt set, SAE and way to score: how many prompts are answered by whom.

    Columns ``n_both``, ``n_baseline_only`` (the untouched model alone), ``n_sae_only`` and
    ``n_neither``; ``main`` marks the way that figures show.
    """
    rows = []
    for run in _asked(runs):
        sums, main = run.documents("answers"), main_scoring(run)
        for scoring in _RIGHT:
            if scoring == AMONG and not sums["choices"].any():
                continue
            counts = outcome_of(sums, scoring).value_counts()
            found = {f"n_{name}": int(counts.get(name, 0)) for name in OUTCOMES}
            about = {"baseline": run.baseline, "scoring": scoring, "main": scoring == main}
            rows.append({**_place(run), **about, "n_prompts": len(sums), **found})
    names = ["baseline", "scoring", "main", "n_prompts", *(f"n_{name}" for name in OUTCOMES)]
    return pd.DataFrame(rows, columns=[PROMPTS, *KEY, *names])


def outcomes(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per prompt set, recipe, hook and prompt, of the first seed.

    Columns ``outcome`` (see `classes`), ``delta_logp`` of the answer and ``delta_ce`` of the prompt
    in nats, and means over the last tokens of the prompt: ``l0``, ``l1``, ``squared_error``,
    ``mse_saelens24`` and ``norm``.
    """
    return stack((_outcomes(run) for run in _first_seeds(runs)), OUTCOME_COLUMNS)


OUTCOME_COLUMNS = (
    PROMPTS, *KEY, "prompt", "outcome", "delta_logp", "delta_ce", "l0", "l1", "squared_error",
    "mse_saelens24", "norm",
)  # fmt: skip


def _outcomes(run: Run) -> pd.DataFrame:
    sums = run.documents("answers")
    window = sums["window"].where(sums["window"] > 0)
    return pd.DataFrame(
        {
            **_place(run),
            "prompt": sums["document"],
            "outcome": outcome_of(sums, main_scoring(run)),
            "delta_logp": sums["log_p_sae"] - sums["log_p_clean"],
            "delta_ce": (sums["ce_sae"] - sums["ce_clean"])
            / sums["ce_tokens"].where(sums["ce_tokens"] > 0),
            "l0": sums["active"] / window,
            "l1": sums["activation"] / window,
            "squared_error": sums["squared_error"] / window,
            "mse_saelens24": sums["mse"] / sums["mse_tokens"].where(sums["mse_tokens"] > 0),
            "norm": sums["norm"] / window,
        }
    )


def examples(runs: Sequence[Run], *, n: int) -> pd.DataFrame:
    """Return the first ``n`` prompts of each prompt set, recipe and outcome, at the middle hook.

    With what was answered.
    """
    parts = []
    chosen = list(_first_seeds(runs))
    for model in dict.fromkeys(run.key.model for run in chosen):
        own = [run for run in chosen if run.key.model == model]
        hooks = list(dict.fromkeys(run.key.hook for run in own))  # in the order of the model
        middle = hooks[(len(hooks) - 1) // 2]
        for run in own:
            if run.key.hook != middle:
                continue
            found = _outcomes(run).drop(columns="prompt")
            found = pd.concat([found, run.records["answers"].table("prompts.parquet")], axis=1)
            first = found.groupby("outcome", sort=False).head(n)
            ranks = first["outcome"].map(list(OUTCOMES).index)
            parts.append(first.loc[ranks.sort_values(kind="stable").index])
    return stack(parts, (PROMPTS, *KEY, "outcome", "prompt", *_TEXTS, "delta_logp", "delta_ce"))


def outcome_of(sums: pd.DataFrame, scoring: str) -> pd.Series:
    """Return who answers each prompt: a name of `OUTCOMES`."""
    clean, sae = (sums[f"{_RIGHT[scoring]}_{by}"] > 0.5 for by in ("clean", "sae"))
    names = np.select([clean & sae, clean, sae], list(OUTCOMES)[:3], default=list(OUTCOMES)[3])
    return pd.Series(names, index=sums.index)


def main_scoring(run: Run) -> str:
    """Return how the prompts of a set are scored where only one way is shown."""
    return AMONG if run.records["answers"].facts["kind"] == CHOICE else WHOLE


def _place(run: Run) -> dict:
    return {PROMPTS: run.key.eval_dataset, **run.key.columns()}


def _asked(runs: Iterable[Run]) -> list[Run]:
    """Return the runs with answers, one prompt set after the other."""
    found = [run for run in runs if "answers" in run.records]
    return sorted(found, key=lambda run: run.key.eval_dataset)


def _first_seeds(runs: Iterable[Run]) -> list[Run]:
    """Return the first seed of each recipe that learned something, without fine-tuned ones."""
    found: dict[tuple[str, ...], Run] = {}
    for run in _asked(runs):
        key = run.key
        if key.method == ORIGINAL and not run.baseline:
            found.setdefault((key.eval_dataset, key.model, key.hook, key.sae), run)
    return list(found.values())
