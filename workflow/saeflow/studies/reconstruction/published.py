"""The post's numbers (`post.py`) beside ours, with a verdict on each.

Another model, other SAEs and texts cannot give the post's numbers, so that a verdict is about what
should carry over: signs and orders. Where a study has the post's own SAEs, each number stands
beside ours too. Numbers that a slip in the published code changed are held against ours in
`published_mode`, or are said to be so. Claims whose measure a study lacks are left out. Read
`published`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from saeflow.metrics.language import SMALL_GAP_NATS
from saeflow.studies.claims import BUG, YES, Claim, Row, Values, rank_correlation
from saeflow.studies.reconstruction import post
from saeflow.studies.reconstruction.post_saes import contexts, numbers
from saeflow.studies.reconstruction.series import (
    by_sae,
    is_of_post,
    positions_of,
    propagation_of,
    trends,
    values_of,
)
from saeflow.tables.runs import ORIGINAL, Run

_KINDS = {"last_word": "lambada", "cloze": "cbt"}
_OF_POST = {"lambada": post.LAMBADA, "cbt": post.CBT}
Rule = tuple[str, Callable[[float], bool]]
_POSITIVE: Rule = ("positive", lambda ours: ours > 0)
_BARELY = 0.9  # of the untouched model's accuracy


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
        "language": values_of(saes, "language", metrics),
        "answers": values_of(saes, "answers", metrics),
        "positions": positions_of(saes, metrics),
        "propagation": propagation_of(saes),
    }
    found = [
        *_of_language(values["language"]),
        *_of_positions(values["positions"]),
        *_of_answers(values["answers"]),
        *_of_propagation(values["propagation"]),
    ]
    if theirs := [run for run in saes if is_of_post(run)]:
        own = {kind: table[table["of_post"]] for kind, table in values.items()}
        found += [*contexts(theirs), *numbers(own["answers"], own["propagation"])]
    rows = [{**row.claim._asdict(), "comparable": row.comparable} for row in found]
    return pd.DataFrame(rows, columns=[*Claim._fields, "comparable"])


def _mean(
    name: str, theirs: float, table: pd.DataFrame, value: str, rule: Rule, comparable: str = YES
) -> Row:
    """Return the claim that the mean of a column over SAEs follows a rule."""
    found, (words, holds) = Values.mean(by_sae(table, value)), rule
    return Row(found.claim(name, theirs, words, holds=holds(found.ours)), comparable)


def _trend(name: str, published_by_layer: Sequence[float], found: Values) -> Row:
    """Return the claim that something rises or falls with the layer as it does in the post."""
    theirs = rank_correlation(range(len(published_by_layer)), published_by_layer)
    holds = bool(np.sign(found.ours) == np.sign(theirs))
    return Row(found.claim(name, theirs, "same sign, of three layers or more", holds=holds), YES)


def _of_language(table: pd.DataFrame) -> Iterator[Row]:
    if table.empty:
        return
    theirs = float(np.mean(post.WITHIN["delta_ce"]))
    yield _mean("added loss within the trained context", theirs, table, "delta_ce", _POSITIVE)
    name = "added loss, rank correlation with the layer"
    yield _trend(name, post.WITHIN["delta_ce"], trends(table, "delta_ce"))


def _of_positions(table: pd.DataFrame) -> Iterator[Row]:
    """Yield what happens beyond the trained context, of SAEs that have one in the text."""
    if table.empty:
        return
    short = table[table["training_context"].astype(float) <= table["border"].astype(float)]
    for value, quantity, words in (
        ("l0_beyond_ratio", "l0", "L0"),
        ("squared_error_beyond_ratio", "squared_error", "squared error"),
    ):
        theirs = float(np.median(np.divide(post.BEYOND[quantity], post.WITHIN[quantity])))
        name = f"{words}, beyond / within the trained context"
        yield _mean(name, theirs, short, value, ("above one", lambda ours: ours > 1))
    theirs = float(np.mean(np.subtract(post.BEYOND["delta_ce"], post.WITHIN["delta_ce"])))
    name = "added loss, beyond - within the trained context"
    yield _mean(name, theirs, short, "delta_ce_growth", _POSITIVE)
    name = "added loss beyond the trained context, rank correlation with the layer"
    yield _trend(name, post.BEYOND["delta_ce"], trends(short, "delta_ce_beyond"))


def _of_answers(table: pd.DataFrame) -> Iterator[Row]:
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
            yield _trend(claim, theirs[quantity], trends(own, value))
        lost = own.assign(d=own["accuracy_first_token"] - own["accuracy_first_token_clean"])
        mean = float(np.mean(theirs["accuracy"])) - post.CLEAN[name]["accuracy"]
        claim = f"{name}: accuracy with the SAE - without"
        yield _mean(claim, mean, lost, "d", ("negative", lambda ours: ours < 0))
        if name == "lambada":
            yield _first_layer(own)
        yield from _of_slips(own, name)


def _first_layer(table: pd.DataFrame) -> Row:
    """Return whether the SAE of the first layer barely hurts."""
    first = table[table["block"] == table["block"].min()]
    clean = first["accuracy_first_token_clean"]
    first = first.assign(kept=first["accuracy_first_token"] / clean.where(clean > 0))
    theirs = post.LAMBADA["accuracy"][0] / post.CLEAN["lambada"]["accuracy"]
    name = "lambada: accuracy with / without the first layer's SAE"
    return _mean(name, theirs, first, "kept", (f"above {_BARELY:g}", lambda ours: ours > _BARELY))


def _of_slips(table: pd.DataFrame, name: str) -> Iterator[Row]:
    """Yield whether what the published code computed differs from what it says."""
    known = (
        table.dropna(subset=["published_delta_ce"]) if "published_delta_ce" in table else table[:0]
    )
    if known.empty:
        return
    gap = Values.mean(
        by_sae(known.assign(d=known["published_delta_ce"] - known["delta_prompt_ce"]), "d")
    )
    corrected = np.subtract(_OF_POST[name]["ce"], post.CLEAN[name]["ce"])
    theirs = float(np.mean(np.subtract(post.AS_PUBLISHED[name]["delta_ce"], corrected)))
    size = float(np.mean(np.abs(gap.of_saes))) if len(gap.of_saes) else np.nan
    rule = f"by more than {SMALL_GAP_NATS:g} nats, over SAEs"
    claim = f"{name}: added loss as published - corrected"
    yield Row(gap.claim(claim, theirs, rule, holds=size > SMALL_GAP_NATS), BUG)


def _of_propagation(table: pd.DataFrame) -> Iterator[Row]:
    own = table[table["way"] == "full"]
    if own.empty:
        return
    for quantity, of_post in post.PROPAGATION.items():
        rows = own[own["quantity"] == quantity]
        name = f"{quantity.replace('_', ' ')} of a later SAE, fractional change by an earlier one"
        yield _mean(name, float(np.mean(of_post)), rows, "change", _POSITIVE, BUG)
