"""The post's numbers (`post.py`) beside ours, with a verdict on each.

Another model, other SAEs and texts cannot give the post's numbers, so that a verdict is about what
should carry over: signs and orders. Where a study has the post's own SAEs, each number stands
beside ours too. Numbers that a slip in the published code changed are held against ours in
`published_mode`, or are said to be so. Claims whose measure a study lacks are left out. Read
`published`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from saeflow.metrics.language import SMALL_GAP_NATS
from saeflow.metrics.registry import measure_of
from saeflow.studies.claims import Claim, Values
from saeflow.studies.reconstruction import post
from saeflow.studies.reconstruction.context.tables import HELD_OUT, by_range, summary
from saeflow.studies.reconstruction.propagation.tables import propagation
from saeflow.tables.runs import ORIGINAL, Run

YES, BUG = "yes", "bug"
"""Whether the published number is what it says."""
_KINDS = {"last_word": "lambada", "cloze": "cbt"}
_OF_POST = {"lambada": post.LAMBADA, "cbt": post.CBT}
_SETS = {"lambada": "lambada", "cbt": "cbt-cn", "cbt-cn": "cbt-cn", "cbt_cn": "cbt-cn"}
_BARELY = 0.9  # of the untouched model's accuracy
_LEAST_LAYERS = 3
_SERIES = ["model", "packing", "sae", "seed"]
_WITHIN_10_PERCENT = "within 10 %"
_SLIP = "published"  # sums and metrics of what the published code computed
_BORDER = 128
_LEAST = {"l0": 1.0, "delta_ce": 0.02}


class _Row(NamedTuple):
    """A claim, and whether what was published is what it says."""

    claim: Claim
    comparable: str


def published(runs: Sequence[Run], *, metrics: Sequence[str]) -> pd.DataFrame:
    """Return one row per claim.

    Parameters
    ----------
    runs
        SAEs with whatever was measured of them; baselines and fine-tuned SAEs do not count.
    metrics
        Names of metrics, which are formed of those whose measure is there.
    """
    saes = [run for run in runs if run.key.method == ORIGINAL and not run.baseline]
    values = {
        "language": _values(saes, "language", metrics),
        "answers": _values(saes, "answers", metrics),
        "positions": _positions(saes, metrics),
        "propagation": _propagation(saes),
    }
    found = [
        *_of_language(values["language"]),
        *_of_positions(values["positions"]),
        *_of_answers(values["answers"]),
        *_of_propagation(values["propagation"]),
    ]
    if theirs := [run for run in saes if _is_of_post(run)]:
        own = {kind: table[table["of_post"]] for kind, table in values.items()}
        found += [*_contexts(theirs), *_numbers(own["answers"], own["propagation"])]
    rows = [{**row.claim._asdict(), "comparable": row.comparable} for row in found]
    return pd.DataFrame(rows, columns=[*Claim._fields, "comparable"])


# -- numbers of SAEs -------------------------------------------------------------------------------


def _is_of_post(run: Run) -> bool:
    return run.sae.get("settings", {}).get("hub") in post.HUBS


def _about(run: Run) -> dict[str, object]:
    return {**run.key.columns(), "packing": run.key.packing, "of_post": _is_of_post(run)}


def _values(saes: Sequence[Run], kind: str, metrics: Sequence[str]) -> pd.DataFrame:
    """Return a row per SAE (and prompt set) with the metrics of a measure."""
    own = [name for name in metrics if measure_of(name).name == kind]
    rows = []
    for run in saes:
        if kind in run.records:
            table = run.documents(kind)
            given = [n for n in own if _SLIP in table or not n.startswith(_SLIP)]
            estimates = run.estimates(given)
            asked = {"prompts": run.key.eval_dataset, "kind": run.records[kind].facts.get("kind")}
            rows.append({**_about(run), **asked, **{n: e.value for n, e in estimates.items()}})
    return _frame(rows, [*own, "prompts", "kind"])


def _positions(saes: Sequence[Run], metrics: Sequence[str]) -> pd.DataFrame:
    own = [name for name in metrics if measure_of(name).name == "positions"]
    runs = [run for run in saes if "positions" in run.records]
    if not runs:
        return _frame([], [*own, "training_context", "border"])
    table = summary(runs, metrics=own)
    return table.assign(of_post=[_is_of_post(run) for run in runs])


def _propagation(saes: Sequence[Run]) -> pd.DataFrame:
    runs = [run for run in saes if "propagation" in run.records]
    wanted = ["later_block", "quantity", "way", "change", "published_change"]
    if not runs:
        return _frame([], wanted)
    table = propagation(runs, metrics=())
    post_saes = {run.key.columns()["sae"] for run in runs if _is_of_post(run)}
    return table.assign(packing="", of_post=table["sae"].isin(post_saes))


def _frame(rows: Sequence[Mapping[str, object]], wanted: Sequence[str]) -> pd.DataFrame:
    keys = ["model", "hook", "block", "sae", "seed", "packing", "of_post"]
    found = pd.DataFrame(rows)
    return found if len(found) else pd.DataFrame(columns=[*keys, *wanted]).astype({"of_post": bool})


def _by_sae(table: pd.DataFrame, value: str) -> pd.Series:
    names = [n for n in (*_SERIES, "hook", "prompts") if n in table]
    return table.set_index(names)[value].astype(float)


def _trends(table: pd.DataFrame, value: str) -> Values:
    """Return the rank correlation with the layer, over series of SAEs of at least three layers."""
    names = [n for n in (*_SERIES, "prompts") if n in table]
    found = {}
    for key, rows in table.dropna(subset=[value]).groupby(names, sort=False):
        if rows["block"].nunique() >= _LEAST_LAYERS:
            found[key] = _rank_correlation(rows["block"], rows[value])
    return Values.mean(pd.Series(found, dtype=float))


def _rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    ranks = [pd.Series(list(one), dtype=float).rank().to_numpy() for one in (x, y)]
    if any(np.ptp(one) == 0 for one in ranks):
        return np.nan
    return float(np.corrcoef(*ranks)[0, 1])


def _trend_of_post(values: Sequence[float]) -> float:
    return _rank_correlation(range(len(values)), values)


# -- what should carry over ------------------------------------------------------------------------


def _trend(name: str, published_by_layer: Sequence[float], found: Values) -> _Row:
    """Return the claim that something rises or falls with the layer as it does in the post."""
    theirs = _trend_of_post(published_by_layer)
    holds = bool(np.sign(found.ours) == np.sign(theirs))
    return _Row(found.claim(name, theirs, "same sign, of three layers or more", holds=holds), YES)


def _of_language(table: pd.DataFrame) -> Iterator[_Row]:
    if table.empty:
        return
    added = Values.mean(_by_sae(table, "delta_ce"))
    name, theirs = "added loss within the trained context", float(np.mean(post.WITHIN["delta_ce"]))
    yield _Row(added.claim(name, theirs, "positive", holds=added.ours > 0), YES)
    name = "added loss, rank correlation with the layer"
    yield _trend(name, post.WITHIN["delta_ce"], _trends(table, "delta_ce"))


def _of_positions(table: pd.DataFrame) -> Iterator[_Row]:
    """Yield what happens beyond the trained context, of SAEs that have one in the text."""
    if table.empty:
        return
    short = table[table["training_context"].astype(float) <= table["border"].astype(float)]
    for value, quantity, words in (
        ("l0_beyond_ratio", "l0", "L0"),
        ("squared_error_beyond_ratio", "squared_error", "squared error"),
    ):
        theirs = float(np.median(np.divide(post.BEYOND[quantity], post.WITHIN[quantity])))
        found = Values.mean(_by_sae(short, value))
        name = f"{words}, beyond / within the trained context"
        yield _Row(found.claim(name, theirs, "above one", holds=found.ours > 1), YES)
    growth = Values.mean(_by_sae(short, "delta_ce_growth"))
    theirs = float(np.mean(np.subtract(post.BEYOND["delta_ce"], post.WITHIN["delta_ce"])))
    name = "added loss, beyond - within the trained context"
    yield _Row(growth.claim(name, theirs, "positive", holds=growth.ours > 0), YES)
    name = "added loss beyond the trained context, rank correlation with the layer"
    yield _trend(name, post.BEYOND["delta_ce"], _trends(short, "delta_ce_beyond"))


def _of_answers(table: pd.DataFrame) -> Iterator[_Row]:
    for kind, name in _KINDS.items():
        own = table[table["kind"] == kind]
        if own.empty:
            continue
        theirs = _OF_POST[name]
        for value, quantity, words in (
            ("accuracy_first_token", "accuracy", "accuracy"),
            ("delta_logp_first_token", "delta_logp", "change of ln p(answer)"),
        ):
            claim = f"{name}: {words}, rank correlation with the layer"
            yield _trend(claim, theirs[quantity], _trends(own, value))
        lost = Values.mean(
            _by_sae(
                own.assign(d=own["accuracy_first_token"] - own["accuracy_first_token_clean"]), "d"
            )
        )
        mean = float(np.mean(theirs["accuracy"])) - post.CLEAN[name]["accuracy"]
        claim = f"{name}: accuracy with the SAE - without"
        yield _Row(lost.claim(claim, mean, "negative", holds=lost.ours < 0), YES)
        if name == "lambada":
            yield _first_layer(own)
        yield from _of_slips(own, name)


def _first_layer(table: pd.DataFrame) -> _Row:
    """Return whether the SAE of the first layer barely hurts."""
    first = table[table["block"] == table["block"].min()]
    kept = first["accuracy_first_token"] / first["accuracy_first_token_clean"].where(
        first["accuracy_first_token_clean"] > 0
    )
    found = Values.mean(_by_sae(first.assign(kept=kept), "kept"))
    theirs = post.LAMBADA["accuracy"][0] / post.CLEAN["lambada"]["accuracy"]
    rule = f"above {_BARELY:g}"
    name = "lambada: accuracy with / without the first layer's SAE"
    return _Row(found.claim(name, theirs, rule, holds=found.ours > _BARELY), YES)


def _of_slips(table: pd.DataFrame, name: str) -> Iterator[_Row]:
    """Yield whether what the published code computed differs from what it says."""
    known = (
        table.dropna(subset=["published_delta_ce"]) if "published_delta_ce" in table else table[:0]
    )
    if known.empty:
        return
    gap = Values.mean(
        _by_sae(known.assign(d=known["published_delta_ce"] - known["delta_prompt_ce"]), "d")
    )
    corrected = np.subtract(_OF_POST[name]["ce"], post.CLEAN[name]["ce"])
    theirs = float(np.mean(np.subtract(post.AS_PUBLISHED[name]["delta_ce"], corrected)))
    size = float(np.mean(np.abs(gap.of_saes))) if len(gap.of_saes) else np.nan
    rule = f"by more than {SMALL_GAP_NATS:g} nats, over SAEs"
    claim = f"{name}: added loss as published - corrected"
    yield _Row(gap.claim(claim, theirs, rule, holds=size > SMALL_GAP_NATS), BUG)


def _of_propagation(table: pd.DataFrame) -> Iterator[_Row]:
    own = table[table["way"] == "full"]
    if own.empty:
        return
    for quantity, of_post in post.PROPAGATION.items():
        rows = own[own["quantity"] == quantity]
        found = Values.mean(_by_sae(rows, "change"))
        name = f"{quantity.replace('_', ' ')} of a later SAE, fractional change by an earlier one"
        theirs = float(np.mean(of_post))
        yield _Row(found.claim(name, theirs, "positive", holds=found.ours > 0), BUG)


# -- the post's own SAEs ---------------------------------------------------------------------------


def _contexts(theirs: Sequence[Run]) -> Iterator[_Row]:
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
            sums = rows.groupby([*_SERIES, "hook", "block"], sort=False)[["of", "n"]].sum()
            means = (sums["of"] / sums["n"]).rename(quantity).reset_index()
            least = _LEAST.get(quantity, 0.0)
            yield from _by_layer(means, quantity, f"{quantity}, {words}", of_post, least, YES)


def _numbers(answers: pd.DataFrame, first: pd.DataFrame) -> Iterator[_Row]:
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
) -> Iterator[_Row]:
    """Yield a row per layer; ``least`` is a difference that is always within the rule.

    ``first`` is the layer of the first number, which the table has as block 0.
    """
    if table.empty or column not in table:
        return
    for layer, value in enumerate(theirs):
        found = Values.mean(_by_sae(table[table["block"] == layer], column))
        near = abs(found.ours - value) <= max(0.1 * abs(value), least)
        rule = f"{_WITHIN_10_PERCENT}, or {least:g}"
        yield _Row(
            found.claim(f"{name}, layer {layer + first}", value, rule, holds=near), comparable
        )
