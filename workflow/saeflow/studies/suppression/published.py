"""The post's numbers beside ours, with a verdict on each.

The post is "Addressing Feature Suppression in SAEs" (Wright and Sharkey, 2024): Pythia-70m,
residual stream after each of six blocks, SAEs of 2,048 latents with an L1 coefficient of 2e-3,
100 M tokens of OpenWebText. Layers are 1-based there.

Another model, other data and other widths cannot give the post's numbers, so that a verdict is
about what should carry over: the sign of an effect, and the order of the methods. Read
`published`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from saeflow.metrics.registry import METRICS, measure_of
from saeflow.studies.suppression.latents import correlations_of, latents
from saeflow.tables.pairs import compare, pairs
from saeflow.tables.runs import ORIGINAL, Key, Run

MEAN_OVER_LAYERS = {
    "mse_reduction": {
        "baseline": 0.002,
        "scale": 0.060,
        "unrotated_decoder": 0.061,
        "decoder": 0.088,
    },
    "perplexity_recovery": {
        "baseline": 0.005,
        "scale": 0.156,
        "unrotated_decoder": 0.162,
        "decoder": 0.241,
    },
}
"""Figures 4 and 5: fraction of the parent's error, and of the added perplexity, that is gone."""

L2_RATIO = {
    "original": (0.88651067, 0.86834979, 0.84479147, 0.86063075, 0.86816871, 0.9951911),
    "decoder": (0.9771778, 0.9477061, 0.93124998, 0.92301691, 0.92854148, 1.00137651),
}
"""Table A1, by layer."""

CORRELATIONS = {
    ("scaling", "strength", "plain"): -0.710,
    ("scaling", "frequency", "plain"): 0.786,
    ("scaling", "strength", "partial"): -0.501,
    ("scaling", "frequency", "partial"): 0.652,
    ("increase", "strength", "plain"): -0.078,
    ("increase", "frequency", "plain"): 0.569,
    ("increase", "strength", "partial"): 0.378,
    ("increase", "frequency", "partial"): 0.646,
}
"""Layer 5, live latents after fine-tuning the decoder: (effect, cause, kind) -> r."""

ROTATION = 0.983
"""Layer 5: mean cosine of a live latent's decoder row before and after."""

# "Near zero": below so much of what fine-tuning the decoder gives.
_SMALL = 0.2
# "About as good": within so much of the better one of two methods, as a share of it.
_ALIKE = 0.25

SAME, OTHER, ABSENT = "as published", "not as published", "not made"


class Tuned(NamedTuple):
    """An SAE that was fine-tuned by steps, as the post's were.

    Attributes
    ----------
    parent, run : Run
        The original and the SAE itself.
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


def published(
    runs: tuple[Run, ...],
    *,
    metrics: Sequence[str],  # noqa: ARG001
    frozen: Sequence[str],
) -> pd.DataFrame:
    """Return one row per claim; ``frozen`` are the methods that leave the encoder alone.

    The metrics are L0, the L2 ratio and the effects of `MEAN_OVER_LAYERS`.
    """
    by_steps = [
        Tuned(parent, tuned, str(tuned.sae["settings"]["method"]))
        for parent, tuned in pairs(runs)
        if tuned.sae["settings"]["solver"] == "steps"
    ]
    found = [*_effects(by_steps), *_orders(by_steps), *_l0(by_steps, frozen), *_ratios(by_steps)]
    found += _of_latents(latents(runs))
    return pd.DataFrame(found, columns=Claim._fields)


def _effects(by_steps: Sequence[Tuned]) -> Iterator[Claim]:
    """Yield the mean effect of each method."""
    for effect, of_methods in MEAN_OVER_LAYERS.items():
        ours = effects(by_steps, effect)
        decoder = np.mean(list(ours.get("decoder", {}).values()) or [np.nan])
        for method, value in of_methods.items():
            values = np.array(list(ours.get(method, {}).values()))
            if method == "baseline":
                rule = f"below {_SMALL:.0%} of the decoder's"
                holds = bool(len(values)) and abs(values.mean()) < _SMALL * decoder
            else:
                rule, holds = "positive", bool(len(values)) and values.mean() > 0
            yield _claim(f"{effect}, {method}", value, values, holds, rule)


def _orders(by_steps: Sequence[Tuned]) -> Iterator[Claim]:
    """Yield whether methods are ordered as in the post, SAE by SAE."""
    for effect, of_methods in MEAN_OVER_LAYERS.items():
        ours = effects(by_steps, effect)
        for better, worse in (("decoder", "unrotated_decoder"), ("scale", "baseline")):
            gap = _gap(ours, better, worse)
            holds = bool(len(gap)) and gap.mean() > 0
            name = f"{effect}, {better} minus {worse}"
            yield _claim(name, of_methods[better] - of_methods[worse], gap, holds, "positive")
        gap = _gap(ours, "unrotated_decoder", "scale")
        best = np.array(list(ours.get("unrotated_decoder", {}).values()))
        holds = bool(len(gap)) and abs(gap.mean()) < _ALIKE * abs(best.mean())
        rule = f"below {_ALIKE:.0%} of the first"
        value = of_methods["unrotated_decoder"] - of_methods["scale"]
        yield _claim(f"{effect}, unrotated_decoder minus scale", value, gap, holds, rule)


def _gap(ours: Mapping[str, Mapping[Key, float]], one: str, other: str) -> np.ndarray:
    first, second = ours.get(one, {}), ours.get(other, {})
    return np.array([first[key] - second[key] for key in first if key in second])


def _l0(by_steps: Sequence[Tuned], frozen: Sequence[str]) -> Iterator[Claim]:
    """Yield whether frozen encoders keep l0, and whether moving ones raise it."""
    ratios: dict[str, list[float]] = {}
    for parent, tuned, fit in by_steps:
        if before := _metric(parent, "l0"):  # of a dead SAE there is no ratio
            ratios.setdefault(fit, []).append(_metric(tuned, "l0") / before - 1)
    kept = [ratio for fit in frozen for ratio in ratios.get(fit, [])]
    # a bias that moved to another place can turn a latent on or off by rounding
    holds = bool(kept) and max(map(abs, kept)) < 1e-3
    yield _claim("l0 after / before - 1, frozen encoders", 0.0, np.array(kept), holds, "zero")
    moving = np.array(ratios.get("encoder", []))
    holds = bool(len(moving)) and moving.mean() > 0
    yield _claim("l0 after / before - 1, encoder", np.nan, moving, holds, "positive")


def _ratios(by_steps: Sequence[Tuned]) -> Iterator[Claim]:
    """Yield the L2 ratios: below one, and nearer to one after fine-tuning."""
    found: dict[str, list[float]] = {ORIGINAL: [], "decoder": []}
    for parent, tuned, fit in by_steps:
        if fit == "decoder":
            found[ORIGINAL].append(_metric(parent, "l2_ratio"))
            found["decoder"].append(_metric(tuned, "l2_ratio"))
    before, after = (np.array(found[name]) for name in (ORIGINAL, "decoder"))
    of_post = {name: float(np.mean(values)) for name, values in L2_RATIO.items()}
    holds = bool(len(before)) and before.mean() < 1
    yield _claim("l2_ratio, original", of_post[ORIGINAL], before, holds, "below one")
    holds = bool(len(after)) and abs(1 - after.mean()) < abs(1 - before.mean())
    yield _claim("l2_ratio, decoder", of_post["decoder"], after, holds, "nearer to one")


def _of_latents(turned: pd.DataFrame) -> Iterator[Claim]:
    """Yield the correlations and the rotation after fine-tuning the decoder by steps."""
    turned = turned[(turned["fit"] == "decoder") & (turned["solver"] == "steps")]
    table = correlations_of(turned)
    for (effect, cause, kind), value in CORRELATIONS.items():
        chosen = (table["effect"] == effect) & (table["cause"] == cause) & (table["kind"] == kind)
        r = table.loc[chosen, "r"].dropna().to_numpy(float)
        holds = bool(len(r)) and np.sign(r.mean()) == np.sign(value)
        yield _claim(f"r of {effect} with log {cause}, {kind}", value, r, holds, "same sign")
    live = turned[turned["live"].astype(bool)]
    cosines = live.groupby(["model", "hook", "sae", "seed"])["rotation"].mean().to_numpy(float)
    holds = bool(len(cosines)) and cosines.mean() > 0.9
    yield _claim("mean cosine of decoder rows", ROTATION, cosines, holds, "above .9")


def _claim(claim: str, value: float, values: np.ndarray, holds: bool, rule: str) -> Claim:
    if not len(values):
        nothing = float("nan")
        return Claim(claim, value, nothing, nothing, nothing, 0, ABSENT, rule)
    ends = float(values.mean()), float(values.min()), float(values.max())
    return Claim(claim, value, *ends, len(values), SAME if holds else OTHER, rule)


def effects(by_steps: Sequence[Tuned], effect: str) -> dict[str, dict[Key, float]]:
    """Return a paired metric, method -> parent's key -> value."""
    found: dict[str, dict[Key, float]] = {}
    for parent, tuned, fit in by_steps:
        value = compare(parent, tuned, measure_of(effect).name, METRICS[effect].formula).value
        found.setdefault(fit, {})[parent.key] = value
    return found


def _metric(run: Run, name: str) -> float:
    return run.estimates([name])[name].value
