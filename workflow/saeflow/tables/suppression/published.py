"""The post's numbers beside ours, with a verdict on each.

Another model, other data and other widths cannot give the post's numbers, so that a verdict is
about what should carry over: the sign of an effect, and the order of the methods.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from saeflow.published import suppression as post
from saeflow.tables.pairs import measured_and_trained, pairs
from saeflow.tables.runs import ORIGINAL, Run
from saeflow.tables.suppression import correlations, latents

READS = ("reconstruction", "language", "sae")
# "Near zero": below so much of what fine-tuning the decoder gives.
_SMALL = 0.2
# "About as good": within so much of the better one of two methods, as a share of it.
_ALIKE = 0.25

SAME, OTHER, ABSENT = "as published", "not as published", "not made"


class Tuned(NamedTuple):
    """An SAE that was measured and fine-tuned by steps, as the post's were.

    Attributes
    ----------
    parent, run : Run
        Measurements of the original and of the SAE itself.
    fit : str
        What was trainable.
    """

    parent: Run
    run: Run
    fit: str


class Claim(NamedTuple):
    """One published number or relation beside ours.

    Attributes
    ----------
    claim : str
        In words.
    published : float
        The post's number.
    ours : float
        Mean over SAEs.
    lowest, highest : float
        Over SAEs.
    n_saes : int
        Of which ours is the mean.
    verdict : str
        `SAME`, `OTHER` or `ABSENT`.
    rule : str
        By what the verdict was given.
    """

    claim: str
    published: float
    ours: float
    lowest: float
    highest: float
    n_saes: int
    verdict: str
    rule: str


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per claim."""
    by_steps = _by_steps(runs)
    found = [*_effects(by_steps), *_orders(by_steps), *_l0(by_steps), *_ratios(by_steps)]
    found += _of_latents(latents.build(runs))
    return pd.DataFrame(found, columns=Claim._fields)


def _effects(by_steps: Sequence[Tuned]) -> Iterator[Claim]:
    """Yield the mean effect of each method."""
    for effect, published in post.MEAN_OVER_LAYERS.items():
        ours = effects(by_steps, effect)
        decoder = np.mean(list(ours.get("decoder", {}).values()) or [np.nan])
        for method, value in published.items():
            values = np.array(list(ours.get(method, {}).values()))
            if method == "baseline":
                rule = f"below {_SMALL:.0%} of the decoder's"
                holds = bool(len(values)) and abs(values.mean()) < _SMALL * decoder
            else:
                rule, holds = "positive", bool(len(values)) and values.mean() > 0
            yield _claim(f"{effect}, {method}", value, values, holds, rule)


def _orders(by_steps: Sequence[Tuned]) -> Iterator[Claim]:
    """Yield whether methods are ordered as in the post, SAE by SAE."""
    for effect, published in post.MEAN_OVER_LAYERS.items():
        ours = effects(by_steps, effect)
        for better, worse in (("decoder", "unrotated_decoder"), ("scale", "baseline")):
            gap = _gap(ours, better, worse)
            holds = bool(len(gap)) and gap.mean() > 0
            name = f"{effect}, {better} minus {worse}"
            yield _claim(name, published[better] - published[worse], gap, holds, "positive")
        gap = _gap(ours, "unrotated_decoder", "scale")
        best = _gap(ours, "unrotated_decoder", None)
        holds = bool(len(gap)) and abs(gap.mean()) < _ALIKE * abs(best.mean())
        rule = f"below {_ALIKE:.0%} of the first"
        value = published["unrotated_decoder"] - published["scale"]
        yield _claim(f"{effect}, unrotated_decoder minus scale", value, gap, holds, rule)


def _gap(ours: Mapping[str, Mapping], one: str, other: str | None) -> np.ndarray:
    first, second = ours.get(one, {}), ours.get(other, {})
    if other is None:
        return np.array(list(first.values()))
    return np.array([first[key] - second[key] for key in first if key in second])


def _l0(by_steps: Sequence[Tuned]) -> Iterator[Claim]:
    """Yield whether frozen encoders keep l0, and whether moving ones raise it."""
    ratios: dict[str, list[float]] = {}
    for parent, tuned, fit in by_steps:
        before, after = (_metric(run, "reconstruction", "l0") for run in (parent, tuned))
        ratios.setdefault(fit, []).append(after / before - 1)
    frozen = [r for fit in ("scale", "unrotated_decoder", "decoder") for r in ratios.get(fit, [])]
    # a bias that moved to another place can turn a latent on or off by rounding
    holds = bool(frozen) and max(map(abs, frozen)) < 1e-3
    yield _claim("l0 after / before - 1, frozen encoders", 0.0, np.array(frozen), holds, "zero")
    moving = np.array(ratios.get("encoder", []))
    holds = bool(len(moving)) and moving.mean() > 0
    yield _claim("l0 after / before - 1, encoder", np.nan, moving, holds, "positive")


def _ratios(by_steps: Sequence[Tuned]) -> Iterator[Claim]:
    """Yield the L2 ratios: below one, and nearer to one after fine-tuning."""
    found: dict[str, list[float]] = {ORIGINAL: [], "decoder": []}
    for parent, tuned, fit in by_steps:
        if fit == "decoder":
            found[ORIGINAL].append(_metric(parent, "reconstruction", "l2_ratio"))
            found["decoder"].append(_metric(tuned, "reconstruction", "l2_ratio"))
    before, after = (np.array(found[name]) for name in (ORIGINAL, "decoder"))
    published = {name: float(np.mean(values)) for name, values in post.L2_RATIO.items()}
    holds = bool(len(before)) and before.mean() < 1
    yield _claim("l2_ratio, original", published[ORIGINAL], before, holds, "below one")
    holds = bool(len(after)) and abs(1 - after.mean()) < abs(1 - before.mean())
    yield _claim("l2_ratio, decoder", published["decoder"], after, holds, "nearer to one")


def _of_latents(turned: pd.DataFrame) -> Iterator[Claim]:
    """Yield the correlations and the rotation after fine-tuning the decoder by steps."""
    turned = turned[(turned["fit"] == "decoder") & (turned["solver"] == "steps")]
    table = correlations.of_latents(turned)
    for (effect, cause, kind), value in post.CORRELATIONS.items():
        chosen = (table["effect"] == effect) & (table["cause"] == cause) & (table["kind"] == kind)
        r = table.loc[chosen, "r"].dropna().to_numpy(float)
        holds = bool(len(r)) and np.sign(r.mean()) == np.sign(value)
        yield _claim(f"r of {effect} with log {cause}, {kind}", value, r, holds, "same sign")
    live = turned[turned["live"]]
    cosines = live.groupby(["model", "hook", "sae", "seed"])["rotation"].mean().to_numpy(float)
    holds = bool(len(cosines)) and cosines.mean() > 0.9
    yield _claim("mean cosine of decoder rows", post.ROTATION, cosines, holds, "above .9")


def _claim(claim: str, published: float, values: np.ndarray, holds: bool, rule: str) -> Claim:
    if not len(values):
        nothing = float("nan")
        return Claim(claim, published, nothing, nothing, nothing, 0, ABSENT, rule)
    ends = float(values.mean()), float(values.min()), float(values.max())
    return Claim(claim, published, *ends, len(values), SAME if holds else OTHER, rule)


def effects(by_steps: Sequence[Tuned], effect: str) -> dict[str, dict[object, float]]:
    """Return mse_reduction or perplexity_recovery, method -> parent's key -> value."""
    found: dict[str, dict[object, float]] = {}
    for parent, tuned, fit in by_steps:
        found.setdefault(fit, {})[parent.key] = _EFFECTS[effect](parent, tuned)
    return found


def _mse_reduction(parent: Run, tuned: Run) -> float:
    before, after = (_metric(run, "reconstruction", "mse") for run in (parent, tuned))
    return (before - after) / before


def _perplexity_recovery(parent: Run, tuned: Run) -> float:
    before, after = (_metric(run, "language", "perplexity_sae") for run in (parent, tuned))
    return (before - after) / (before - _metric(parent, "language", "perplexity"))


_EFFECTS = {"mse_reduction": _mse_reduction, "perplexity_recovery": _perplexity_recovery}


def _metric(run: Run, measure: str, name: str) -> float:
    return run.records[measure]["metrics"][name]["value"]


def _by_steps(runs: Sequence[Run]) -> list[Tuned]:
    """Return the SAEs that were measured and fine-tuned by steps, with their parents."""
    measured, trained = measured_and_trained(runs)
    found = []
    for parent, tuned in pairs(measured):
        settings = trained[tuned.key.training].records["sae"]["settings"]
        if settings["solver"] == "steps":
            found.append(Tuned(parent, tuned, str(settings["method"])))
    return found
