"""The post's statements and numbers (`numbers.py`) beside ours, with a verdict on each.

Another model, other SAEs and texts cannot give the post's numbers, so that a verdict is about what
should carry over: signs and orders. Where a study has the post's own SAEs, each number stands
beside ours too, by block: of states as they are, which the post gave to SAEs of centred ones. The
post's state of the last block is behind the final norm, and ours is not. Read `published`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from saeflow.studies.claims import BUG, YES, Claim, Row, Values, rank_correlation
from saeflow.studies.classification.post import numbers
from saeflow.studies.classification.post.numbers import OfModel
from saeflow.studies.classification.post.tables import (
    CODES,
    NORMAL,
    PUBLISHED,
    STATES,
    probed,
    probes,
)  # fmt: skip
from saeflow.tables.runs import ORIGINAL, SAE, Run

_SERIES = ["model", "labelled", "sae", "seed"]
_ACCURACY, _RELATIVE = 0.01, 0.02
_SITE = "resid_post"


def published(runs: Sequence[Run], *, metrics: Sequence[str]) -> pd.DataFrame:
    """Return one row per claim; baselines do not count."""
    kept = [run for run in runs if run.key.method == ORIGINAL and not run.baseline]
    table = probes(kept)
    table = table[(table["setting"] == NORMAL) & (table["probe"] == PUBLISHED)]
    table = table[table["pooling"] == "last"]
    errors = probed(kept, metrics=metrics)
    errors = errors[errors["split"] == "train"]
    found = [*_statements(table), *_of_features(errors)]
    for name, of_model in _posts_models(kept).items():
        theirs = numbers.POST[name]
        found += _counts(table[table["model"] == of_model], name)
        found += _accuracies(table[table["model"] == of_model], name, theirs, kept)
        found += _errors(errors[errors["model"] == of_model], name, theirs, kept)
    rows = [{**row.claim._asdict(), "comparable": row.comparable} for row in found]
    return pd.DataFrame(rows, columns=[*Claim._fields, "comparable"])


def _statements(table: pd.DataFrame) -> Iterator[Row]:
    """Yield what the post says of states and codes over the layers."""
    codes, states = table[table["input"] == CODES], table[table["input"] == STATES]
    gap = Values.mean(codes.set_index([*_SERIES, "hook"])["accuracy_gap"].astype(float))
    theirs = float(np.mean([g for of in numbers.POST.values() for g in _gaps(of).values()]))
    holds = bool(len(gap.of_saes)) and bool((gap.of_saes < 0).all())
    name = "accuracy of codes - of states"
    yield Row(gap.claim(name, theirs, "negative for every SAE", holds=holds), YES)
    large = numbers.POST["pythia-410m-deduped"]
    for of, rows, column, own in (
        ("states", states, "accuracy", large.states),
        ("codes", codes, "accuracy", large.codes),
        ("codes - of states", codes, "accuracy_gap", _gaps(large)),
    ):
        own = {block: value for block, value in own.items() if block != large.n_blocks - 1}
        found = Values.trends(rows, column, _SERIES)
        theirs = rank_correlation(list(own), list(own.values()))
        holds = bool(np.sign(found.ours) == np.sign(theirs))
        name = f"accuracy of {of}, rank correlation with the layer"
        yield Row(found.claim(name, theirs, "same sign, of three layers or more", holds=holds), YES)


def _of_features(errors: pd.DataFrame) -> Iterator[Row]:
    """Yield whether few features are on over the texts at the first layer, and many at the last."""
    ratios = {}
    for key, rows in errors.groupby(_SERIES, sort=False):
        rows = rows.sort_values("block")
        if rows["block"].nunique() > 1 and rows["features_on"].iloc[-1] > 0:
            ratios[key] = rows["features_on"].iloc[0] / rows["features_on"].iloc[-1]
    found = Values.mean(pd.Series(ratios, dtype=float))
    name = "features on over the training texts, first / last layer"
    rule = "below one; the post's readers found 2 at layer 2, and hundreds at the last"
    yield Row(found.claim(name, np.nan, rule, holds=found.ours < 1), YES)


def _gaps(of: OfModel) -> dict[int, float]:
    """Return the accuracy of codes less that of states by block, without the last."""
    last = of.n_blocks - 1
    return {b: value - of.states[b] for b, value in of.codes.items() if b != last}


def _posts_models(runs: Sequence[Run]) -> dict[str, str]:
    """Return those of the post's models whose SAEs there are, with their names here."""
    found = {}
    for run in runs:
        hub = run.sae.get("settings", {}).get("hub") if SAE in run.records else None
        if hub in numbers.HUBS:
            found[hub.partition("/")[2]] = run.key.model
    return found


def _of_post(table: pd.DataFrame, runs: Sequence[Run], model: str) -> pd.DataFrame:
    """Select the rows of the post's SAEs as the post used them: of states as they are."""
    used = {
        run.key.sae
        for run in runs
        if SAE in run.records
        and run.sae.get("settings", {}).get("hub") == f"Elriggs/{model}"
        and run.sae["settings"].get("entry") == numbers.ENTRY
        and run.sae["settings"].get("center_input") is False
    }
    return table[table["sae"].isin(used) & (table["site"] == _SITE)]


def _counts(table: pd.DataFrame, model: str) -> Iterator[Row]:
    """Yield how many texts there are for training and for testing."""
    own = table[table["input"] == STATES].set_index("hook")
    for column, theirs in (("n_train", numbers.N_TRAIN), ("n_test", numbers.N_TEST)):
        found = Values.mean(own[column].astype(float))
        name = f"{model}: texts, {column}"
        yield Row(found.claim(name, theirs, "the same", holds=found.ours == theirs), YES)


def _accuracies(
    table: pd.DataFrame, model: str, theirs: OfModel, runs: Sequence[Run]
) -> Iterator[Row]:
    states = table[(table["input"] == STATES) & (table["site"] == _SITE)]
    codes = _of_post(table[table["input"] == CODES], runs, model)
    for words, rows, by_block in (
        ("states", states, theirs.states), ("codes", codes, theirs.codes),
    ):  # fmt: skip
        name = f"{model}: test accuracy of {words}"
        yield from _by_block(rows, "accuracy", name, by_block, theirs, least=_ACCURACY)


def _errors(table: pd.DataFrame, model: str, theirs: OfModel, runs: Sequence[Run]) -> Iterator[Row]:
    own = _of_post(table, runs, model)
    for column, words, by_block in (
        ("probed_mse", "MSE per element, training texts", theirs.mse),
        ("probed_cosine", "cosine, training texts", theirs.cosine),
    ):
        yield from _by_block(own, column, f"{model}: {words}", by_block, theirs, least=0.0)
    large, block, n = numbers.ALWAYS_ON
    if model == large:
        name = f"{model}: features on over the training texts"
        yield from _by_block(own, "features_on", name, {block: float(n)}, theirs, least=0.0)


def _by_block(
    table: pd.DataFrame,
    column: str,
    name: str,
    by_block: dict[int, float],
    of: OfModel,
    *,
    least: float,
) -> Iterator[Row]:
    """Yield a row per block; ``least`` is a difference that is always within the rule."""
    for block, value in by_block.items():
        rows = table[table["block"] == block]
        found = Values.mean(rows.set_index(["hook", *_SERIES])[column].astype(float))
        near = abs(found.ours - value) <= max(least, _RELATIVE * abs(value) * (not least))
        rule = f"within {least:g}" if least else f"within {_RELATIVE:.0%}"
        claim = found.claim(f"{name}, layer {block}", value, rule, holds=bool(near))
        yield Row(claim, BUG if block == of.n_blocks - 1 else YES)
