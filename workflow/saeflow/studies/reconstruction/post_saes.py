"""Each number of the post beside that of its own SAEs, where a study has them.

Read `contexts` and `numbers`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from saeflow.metrics.positions import HELD_OUT
from saeflow.studies.claims import BUG, YES, Row, Values
from saeflow.studies.reconstruction import post
from saeflow.studies.reconstruction.context.tables import by_range
from saeflow.studies.reconstruction.series import SERIES, by_sae
from saeflow.tables.runs import Run

_OF_POST = {"lambada": post.LAMBADA, "cbt": post.CBT}
_SETS = {"lambada": "lambada", "cbt": "cbt-cn", "cbt-cn": "cbt-cn", "cbt_cn": "cbt-cn"}
_WITHIN_10_PERCENT = "within 10 %"
_BORDER = 128
_LEAST = {"l0": 1.0, "delta_ce": 0.02}


def contexts(theirs: Sequence[Run]) -> Iterator[Row]:
    """Yield the numbers within and beyond the trained context beside those of the post's SAEs."""
    runs = [run for run in theirs if "positions" in run.records]
    if not runs:
        return
    table = by_range(runs)
    table = table[(table["part"] == HELD_OUT) & ~table["special"].astype(bool)]
    sides = ("positions 2-128", table["last"] <= _BORDER), ("from 129", table["first"] > _BORDER)
    for (words, chosen), numbers in zip(sides, (post.WITHIN, post.BEYOND), strict=True):
        for quantity, of_post in numbers.items():
            count = "n_predictions" if quantity == "delta_ce" else "n_tokens"
            rows = table[chosen].assign(
                of=lambda t, q=quantity, n=count: t[q] * t[n], n=table[count]
            )
            sums = rows.groupby([*SERIES, "hook", "block"], sort=False)[["of", "n"]].sum()
            means = (sums["of"] / sums["n"]).rename(quantity).reset_index()
            least = _LEAST.get(quantity, 0.0)
            yield from _by_layer(means, quantity, f"{quantity}, {words}", of_post, least, YES)


def numbers(answers: pd.DataFrame, first: pd.DataFrame) -> Iterator[Row]:
    """Yield each number on prompts, and on later layers, beside that of the post's SAEs."""
    answers = answers.assign(prompts=answers["prompts"].map(_SETS))
    for name, prompts in (("lambada", "lambada"), ("cbt", "cbt-cn")):
        own = answers[answers["prompts"] == prompts]
        for column, quantity, least in (
            ("accuracy_first_token", "accuracy", 0.02),
            ("prompt_ce", "ce", 0.02),
            ("delta_logp_first_token", "delta_logp", 0.05),
        ):
            theirs = _OF_POST[name][quantity]
            yield from _by_layer(own, column, f"{name}: {quantity}", theirs, least, YES)
        for column, quantity, least in (
            ("published_l0", "l0", 1.0),
            ("published_norm", "norm", 1.0),
            ("published_delta_ce", "delta_ce", 0.05),
        ):
            theirs = post.AS_PUBLISHED[name][quantity]
            words = f"{name}: {quantity} of a second reconstruction"
            yield from _by_layer(own, column, words, theirs, least, BUG)
    first = first[(first["block"] == 0) & (first["way"] == "full")]
    for quantity, theirs in post.PROPAGATION.items():
        rows = first[first["quantity"] == quantity]
        rows = rows.assign(block=rows["later_block"].astype(int) - 1)
        words = f"change of {quantity} by layer 0, as in the notebook"
        yield from _by_layer(rows, "published_change", words, theirs, 0.05, BUG, first=1)


def _by_layer(
    table: pd.DataFrame,
    column: str,
    name: str,
    theirs: Sequence[float],
    least: float,
    comparable: str,
    *,
    first: int = 0,
) -> Iterator[Row]:
    """Yield a row per layer; ``least`` is a difference that is always within the rule.

    ``first`` is the layer of the first number, which the table has as block 0.
    """
    if table.empty or column not in table:
        return
    for layer, value in enumerate(theirs):
        found = Values.mean(by_sae(table[table["block"] == layer], column))
        near = abs(found.ours - value) <= max(0.1 * abs(value), least)
        rule = f"{_WITHIN_10_PERCENT}, or {least:g}"
        yield Row(
            found.claim(f"{name}, layer {layer + first}", value, rule, holds=near), comparable
        )
