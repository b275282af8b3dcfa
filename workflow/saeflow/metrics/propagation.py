"""What an SAE's error does to later layers: formulas from sums over tokens.

An SAE's reconstructions stand in the place of the activations at one hook, and SAEs at later hooks
read what arrives there. Of each such pair, of each quantity of `QUANTITIES` and each of `WAYS`, are
summed over the tokens of a document

    tokens                     1
    <quantity>                 the quantity in the clean run
    <quantity>_<way>           the same where the change has arrived
    <quantity>_compared        1 where the quantity is not zero in the clean run
    <quantity>_<way>_ratio     changed over clean, where that is not zero

and for the computation that was published (`published`) ``at_index``, 1 on tokens at `INDEX` of
their context, <quantity>_at_index, the changed quantity there, ``<quantity>_inverse``, 1 over the
clean quantity at the indices `RANGE` where it is not zero, and ``<quantity>_inverted``, 1 there.
Of what the model predicts, ``predictions`` and ``ce_<what>`` are summed, in nats.
"""

from __future__ import annotations

import numpy as np

from saeflow.metrics.metric import Formula, Measure, Metric, Sums, difference

QUANTITIES = ("squared_error", "l0", "norm")
"""Of a later SAE: |x_hat - x|^2 and the latents that are not zero; and the activations' |x|."""
FULL, DIRECT = WAYS = ("full", "direct")
"""How a change arrives: through all that later blocks make of it, or by the residual stream alone,
with what blocks add as it was in the clean run."""

CHAIN = "chain"
"""SAEs at the hook and at all later ones at once."""

PAIRS, RATIOS = "pairs.parquet", "ratios.parquet"
"""Files with the sums of pairs, and with how many ratios lie in each bin."""

INDEX, RANGE = 50, (1, 100)
"""Places in a context, 0-based, of the published computation."""

_ANDERS = (
    "Anders and Bloom 2024, Examining language model performance with reconstructed activations"
)
_NATS = "nats/token"

# Bins of ratios r: equal steps of asinh(ln r / _FINE). Near 1 they are 2e-4 wide, and far from it
# 2 % of ln r. 1 itself lies in the middle of bin 0.
_FINE, _STEP, _MOST = 0.01, 0.02, 400
N_BINS = 2 * _MOST + 1


def ratio_of_means(sums: Sums, quantity: str, way: str = FULL) -> np.ndarray:
    """Return the change of a mean: the sum where the change has arrived over the clean one, - 1."""
    return sums[f"{quantity}_{way}"] / sums[quantity] - 1


def mean_of_ratios(sums: Sums, quantity: str, way: str = FULL) -> np.ndarray:
    """Return the mean over tokens of changed over clean, - 1; tokens with clean zero left out."""
    return sums[f"{quantity}_{way}_ratio"] / sums[f"{quantity}_compared"] - 1


def published(numerators: Sums, denominators: Sums, quantity: str) -> np.ndarray:
    """Return the change as the post's notebook computed it.

    The changed quantity at `INDEX` of some contexts over the clean one at all indices of `RANGE` of
    other contexts, averaged over all pairs of the two, - 1. Neither tokens nor positions are the
    same above and below, so this is not zero where nothing changes.

    Parameters
    ----------
    numerators, denominators
        Sums over documents of which none is in both.
    quantity
        One of `QUANTITIES`.
    """
    above = numerators[f"{quantity}_at_index"] / numerators["at_index"]
    return above * denominators[f"{quantity}_inverse"] / denominators[f"{quantity}_inverted"] - 1


def bins_of(ratios: np.ndarray) -> np.ndarray:
    """Return the bin, 0 to `N_BINS` - 1, of each ratio (n,); far ones are in the outermost."""
    with np.errstate(divide="ignore"):
        place = np.arcsinh(np.log(ratios) / _FINE) / _STEP
    return np.rint(place.clip(-_MOST, _MOST)).astype(np.int64) + _MOST


def median(bins: np.ndarray, counts: np.ndarray) -> float:
    """Return the median of ratios that were counted in bins, to half the width of a bin.

    Parameters
    ----------
    bins, counts : ndarray (n,)
        Bins, rising, and how many ratios lie in each.
    """
    reached, n = np.cumsum(counts), int(counts.sum())
    if not n:
        return float("nan")
    middle = [bins[np.searchsorted(reached, rank)] for rank in ((n + 1) // 2, n // 2 + 1)]
    return float(np.exp(_FINE * np.sinh((np.array(middle) - _MOST) * _STEP)).mean())


def _added(of: str) -> Formula:
    return difference(f"ce_{of}", "ce_clean", "predictions")


delta_ce_full = _added("full")
delta_ce_direct = _added("direct")
delta_ce_attention_frozen = _added("attention_frozen")
delta_ce_mlp_frozen = _added("mlp_frozen")
delta_ce_patterns_frozen = _added("patterns_frozen")
delta_ce_chain = _added("chain")

MEASURE = Measure(
    name="propagation",
    text="What becomes of an SAE's error in later layers: how SAEs there do on what arrives, and by"
    " which way the predictions suffer. On so many tokens as `measures > propagation` says.",
    compute="saeflow.measures.propagation.measure:measure_propagation",
    reads=("model", "tokens", "others"),
    together=True,
    metrics=tuple(
        Metric(f"delta_ce_{name}", label, text, formula, _ANDERS, _NATS, "lower")
        for name, label, text, formula in (
            ("full", "Added loss, whole", "CE(x̂) − CE(x)", delta_ce_full),
            (
                "direct", "Added loss, direct path",
                "CE with x̂ − x added to the last residual stream − CE(x)", delta_ce_direct,
            ),
            (
                "attention_frozen", "Added loss, attention frozen",
                "CE(x̂) with later attention outputs as they are with x − CE(x)",
                delta_ce_attention_frozen,
            ),
            (
                "mlp_frozen", "Added loss, MLPs frozen",
                "CE(x̂) with later MLP outputs as they are with x − CE(x)", delta_ce_mlp_frozen,
            ),
            (
                "patterns_frozen", "Added loss, attention patterns frozen",
                "CE(x̂) with later attention weights as they are with x − CE(x)",
                delta_ce_patterns_frozen,
            ),
            (
                "chain", "Added loss, SAEs at all later hooks too",
                "CE(x̂ here and at all later hooks) − CE(x)", delta_ce_chain,
            ),
        )
    ),
)  # fmt: skip
