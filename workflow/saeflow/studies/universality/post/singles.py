"""The post's numbers of single SAEs beside ours: perplexity, frequencies, training logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.hooks import Hook
from saeflow.studies.claims import YES, Row, Values
from saeflow.studies.universality.post import numbers
from saeflow.studies.universality.post.frequencies import frequencies
from saeflow.studies.universality.reading import Pairs, saes_of
from saeflow.tables.builders import metrics_table
from saeflow.tables.runs import LOG, Run

_FEW_TOKENS = 10  # on fewer a bin holds a single number of tokens
_SAE = ["model", "hook", "sae", "seed"]
_NEAR, _TOLERANCE = 0.05, 0.15


def of_language(
    runs: Sequence[Run], hubs: Mapping[str, str], metrics: Sequence[str]
) -> Iterator[Row]:
    """Yield perplexities; that SAEs raise them, of whatever SAEs."""
    measured = [run for run in runs if "language" in run.records]
    table = metrics_table(measured, metrics=metrics).set_index(_SAE)
    own = table[_of_post(table, hubs)]
    for column, theirs, words in (
        ("perplexity", numbers.PERPLEXITY, "untouched"),
        ("perplexity_sae", numbers.PERPLEXITY_WITH, "with an SAE"),
    ):
        found = Values.mean(own[column].astype(float))
        holds = abs(found.ours / theirs - 1) <= 0.2
        yield Row(found.claim(f"perplexity, {words}", theirs, "within 20 %", holds=holds), YES)
    gap = Values.mean((table["perplexity_sae"] - table["perplexity"]).astype(float))
    theirs = numbers.PERPLEXITY_WITH - numbers.PERPLEXITY
    name = "perplexity, with an SAE - untouched"
    yield Row(gap.claim(name, theirs, "positive", holds=gap.ours > 0), YES)


def of_frequencies(runs: Sequence[Run], pairs: Pairs, hubs: Mapping[str, str]) -> Iterator[Row]:
    """Yield how often most features are active."""
    table = frequencies(runs, pairs=pairs)
    table = table[table["low"] * table["n_tokens"] >= _FEW_TOKENS].set_index(_SAE)
    table = table[_of_post(table, hubs) & (table["architecture"] == numbers.ARCHITECTURE)]
    fullest = table.sort_values("n_features", kind="stable").groupby(level=_SAE).tail(1)
    found = Values.mean(np.log(np.sqrt(fullest["low"] * fullest["high"])))
    found = found._replace(
        ours=float(np.exp(found.ours)), of_saes=np.exp(found.of_saes), statistic="geometric mean"
    )
    theirs = numbers.FREQUENCY_MODE
    near = theirs / 3 <= found.ours <= 3 * theirs
    rule = "within a factor of 3"
    name = "activation frequency that most features have"
    yield Row(found.claim(name, theirs, rule, holds=near), YES)


def snapshots(runs: Sequence[Run], hubs: Mapping[str, str]) -> Iterator[Row]:
    """Yield L0 and error of logs of trainings as the post's, beside its own; none without any."""
    logs: dict[tuple[float, int], list[pd.Series]] = {}
    for key, sae in saes_of(runs).items():
        hook, settings = Hook.parse(key.hook), sae.facts.get("settings", {})
        ratio = sae.facts["d_sae"] / sae.facts["d_in"]
        theirs = numbers.SNAPSHOTS.get(ratio)
        if theirs is None or hubs.get(key.model) != numbers.SMALLEST or hook.site != numbers.SITE:
            continue
        if (sae.facts["architecture"], settings.get("l1")) != (numbers.ARCHITECTURE, numbers.L1):
            continue
        log = sae.run.records["sae"].table(LOG)
        row = log.loc[(log["tokens"] - theirs.tokens).abs().idxmin()]
        if hook.block < len(theirs.l0) and abs(row["tokens"] / theirs.tokens - 1) < _NEAR:
            logs.setdefault((ratio, hook.block), []).append(row)
    for (ratio, block), rows in sorted(logs.items()):
        theirs = numbers.SNAPSHOTS[ratio]
        for column, values in (("l0", theirs.l0), ("mse", theirs.mse)):
            found = Values.mean(pd.DataFrame(rows).reset_index()[column].astype(float))
            holds = abs(found.ours / values[block] - 1) <= _TOLERANCE
            name = f"{column} in training, ratio 1:{ratio:g}, {theirs.tokens:g} tokens"
            name = f"{name}, layer {block}"
            yield Row(found.claim(name, values[block], "within 15 %", holds=holds), YES)


def _of_post(table: pd.DataFrame, hubs: Mapping[str, str]) -> np.ndarray:
    """Return which rows, indexed by `_SAE`, are of the post's models and hooks."""
    model, hook = (table.index.get_level_values(name) for name in ("model", "hook"))
    return model.map(hubs).isin(numbers.HUBS) & hook.str.startswith(f"{numbers.SITE}.")
