"""The post's numbers (`post.py`) beside ours, with a verdict on each.

Another model, other data and other widths cannot give the post's numbers, so that a verdict is
about what should carry over: the sign of an effect, and the order of the methods. Read
`published`; which SAEs it is about is in `claims.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from saeflow.metrics.language import SMALL_GAP_NATS
from saeflow.studies.claims import Claim, Values
from saeflow.studies.suppression.claims import AFTER, BEFORE, Population
from saeflow.studies.suppression.latents import correlations_of, latents
from saeflow.studies.suppression.laws import L1
from saeflow.studies.suppression.post import CORRELATIONS, L2_RATIO, MEAN_OVER_LAYERS, ROTATION
from saeflow.tables.runs import ORIGINAL, Run

# "Near zero": below so much of what fine-tuning the decoder gives.
_SMALL = 0.2
# "About as good": within so much of the better one of two methods, as a share of it.
_ALIKE = 0.25
_SAE = ["model", "hook", "sae", "seed"]


def published(
    runs: tuple[Run, ...], *, metrics: Sequence[str], frozen: Sequence[str]
) -> pd.DataFrame:
    """Return one row per claim; ``frozen`` are the methods that leave the encoder alone.

    The metrics are L0, the L2 ratio, the added loss and the effects of `MEAN_OVER_LAYERS`.
    """
    saes = Population(runs, metrics)
    found: list[Claim] = []
    for effect in MEAN_OVER_LAYERS:
        found += [*_effects(saes, effect), *_orders(saes, effect)]
    found += [*_l0(saes, frozen), *_ratios(saes), *_of_latents(saes, latents(runs))]
    return pd.DataFrame(found, columns=Claim._fields)


def _over(rows: pd.DataFrame, effect: str, values: pd.Series) -> Values:
    """Return an effect, or the difference of two, over SAEs.

    A squared error is above zero, and shares of it have a mean, as in the post. An SAE may add next
    to nothing to the perplexity, and its share of that is noise: it is left out, and of the others
    the median is taken, which those that are nearly so do not decide.
    """
    if effect == "mse_reduction":
        return Values.mean(values)
    return Values.median(values, rows[f"delta_ce_{BEFORE}"] < SMALL_GAP_NATS)


def _effects(saes: Population, effect: str) -> Iterator[Claim]:
    """Yield the effect of each method."""
    of_post = MEAN_OVER_LAYERS[effect]
    ours = {fit: _over(saes.of(fit), effect, saes.of(fit)[effect]) for fit in of_post}
    for fit, value in of_post.items():
        rule, holds = "positive", ours[fit].ours > 0
        if fit == "baseline":
            rule = f"below {_SMALL:.0%} of the decoder's"
            holds = abs(ours[fit].ours) < _SMALL * ours["decoder"].ours
        yield saes.claim(f"{effect}, {fit}", value, ours[fit], rule, fit, holds=holds)


def _orders(saes: Population, effect: str) -> Iterator[Claim]:
    """Yield whether methods are ordered as in the post, over the SAEs that have both."""
    of_post = MEAN_OVER_LAYERS[effect]
    pairs = ("decoder", "unrotated_decoder"), ("scale", "baseline"), ("unrotated_decoder", "scale")
    for better, worse in pairs:
        rows, others = saes.of(better), saes.of(worse)
        rows = rows[rows.index.isin(others.index)]
        gap = _over(rows, effect, rows[effect] - others[effect].reindex(rows.index))
        rule, holds = "positive", gap.ours > 0
        if better == "unrotated_decoder":
            rule = f"below {_ALIKE:.0%} of the first"
            holds = abs(gap.ours) < _ALIKE * abs(_over(rows, effect, rows[effect]).ours)
        name, value = f"{effect}, {better} minus {worse}", of_post[better] - of_post[worse]
        yield saes.claim(name, value, gap, rule, better, holds=holds)


def _l0(saes: Population, frozen: Sequence[str]) -> Iterator[Claim]:
    """Yield whether frozen encoders keep l0, and whether moving ones raise it."""
    kept, moved = _change_of_l0(saes, *frozen), _change_of_l0(saes, "encoder")
    # a bias that moved to another place can turn a latent on or off by rounding
    holds = bool((np.abs(kept.of_saes) < 1e-3).all())
    name = "l0 after / before - 1"
    yield saes.claim(f"{name}, frozen encoders", 0.0, kept, "zero, of each", *frozen, holds=holds)
    holds = moved.ours > 0
    yield saes.claim(f"{name}, encoder", np.nan, moved, "positive", "encoder", holds=holds)


def _change_of_l0(saes: Population, *fits: str) -> Values:
    rows = saes.of(*fits)
    before, after = (rows[f"l0_{end}"] for end in (BEFORE, AFTER))
    return Values.ratio(after - before, before)


def _ratios(saes: Population) -> Iterator[Claim]:
    """Yield the L2 ratios: below one, and nearer to one after fine-tuning."""
    rows = saes.of("decoder")
    before, after = (Values.mean(rows[f"l2_ratio_{end}"]) for end in (BEFORE, AFTER))
    nearer = abs(1 - after.ours) < abs(1 - before.ours)
    for name, found, rule, holds in (
        (ORIGINAL, before, "below one", before.ours < 1),
        ("decoder", after, "nearer to one", nearer),
    ):
        value = float(np.mean(L2_RATIO[name]))
        yield saes.claim(f"l2_ratio, {name}", value, found, rule, "decoder", holds=holds)


def _of_latents(saes: Population, table: pd.DataFrame) -> Iterator[Claim]:
    """Yield the correlations and the rotation after fine-tuning the decoder by steps."""
    by_steps = (table["fit"] == "decoder") & (table["solver"] == "steps")
    turned = table[by_steps & (table["law"] == L1)]
    all_r = correlations_of(turned).set_index(["effect", "cause", "kind"])
    for (effect, cause, kind), value in CORRELATIONS.items():
        rows = all_r[all_r.index == (effect, cause, kind)]
        r = Values.mean(rows.groupby(_SAE, sort=False)["r"].mean())
        name, holds = f"r of {effect} with log {cause}, {kind}", np.sign(r.ours) == np.sign(value)
        yield saes.claim(name, value, r, "same sign", "decoder", holds=holds)
    live = turned[turned["live"].astype(bool)]
    cosines = Values.mean(live.groupby(_SAE, sort=False)["rotation"].mean())
    holds = cosines.ours > 0.9
    yield saes.claim(
        "mean cosine of decoder rows", ROTATION, cosines, "above .9", "decoder", holds=holds
    )
