"""What an SAE does at each position of the context: formulas from sums within and beyond a length.

Sums are of ordinary tokens of the test split, each under two names: ``within_...`` of those at
positions that the SAE's training had, ``beyond_...`` of those behind. A token's position is the
number of tokens before it in its sequence, and its loss is that of predicting the token after it:
``predictions`` counts those that are scored. ``squared_deviation`` is about the mean of the tokens
in the same range of positions (`ranges`), so that an SAE which gives back nothing but a mean of
each range has a fraction of 1.
"""

from __future__ import annotations

import numpy as np

from saeflow.metrics.metric import Formula, Measure, Metric, Sums, difference, quotient, ratio

WITHIN, BEYOND = "within_", "beyond_"
HELD_OUT, SEEN = "held_out", "seen"
"""Documents of the test split, and of an SAE's training."""

_POST = "Anders and Bloom 2024, Examining language model performance with reconstructed activations"
_NATS = "nats/token"


def ranges(length: int, border: int | None = None) -> np.ndarray:
    """Return the ranges of positions that tokens are gathered in: half octaves.

    Parameters
    ----------
    length
        Of the longest sequence.
    border
        A further position at which a range begins: the context length of an SAE's training.

    Returns
    -------
    ndarray (n + 1,) int64
        Range i holds positions ``ends[i]`` to ``ends[i + 1]``, counted from 0, the last one
        excluded: 0, 1, 2, 3, 4 to 5, 6 to 7, 8 to 11, ... So a power of two is always a border.
    """
    octaves = 2 ** np.arange(int(length).bit_length() + 1)
    ends = {0, *octaves.tolist(), *(3 * octaves // 2).tolist(), border or 0, length}
    return np.array(sorted(end for end in ends if end <= length), dtype=np.int64)


l0_within = ratio("within_active", "within_tokens")
l0_beyond = ratio("beyond_active", "beyond_tokens")
fvu_within = ratio("within_squared_error", "within_squared_deviation")
fvu_beyond = ratio("beyond_squared_error", "beyond_squared_deviation")
delta_ce_within = difference("within_ce_sae", "within_ce_clean", "within_predictions")
delta_ce_beyond = difference("beyond_ce_sae", "beyond_ce_clean", "beyond_predictions")


def delta_ce_growth(sums: Sums) -> np.ndarray:
    """Return by how much more the SAE adds at later positions."""
    return delta_ce_beyond(sums) - delta_ce_within(sums)


def _beyond(name: str) -> Formula:
    """Return the formula of a mean at later positions over that at those of the training."""
    return quotient(*(ratio(f"{side}{name}", f"{side}tokens") for side in (BEYOND, WITHIN)))


l0_beyond_ratio = _beyond("active")
fvu_beyond_ratio = quotient(fvu_beyond, fvu_within)
squared_error_beyond_ratio = _beyond("squared_error")
norm_beyond_ratio = _beyond("norm")

MEASURE = Measure(
    name="positions",
    text="How an SAE does at each position of the context, within the length that its training had"
    " and beyond it, on documents of its training and on others.",
    compute="saeflow.measures.positions.measure:measure_positions",
    reads=("activations", "model", "tokens", "clean", "trained_on"),
    together=True,
    metrics=(
        Metric("l0_within", "L0 within context", "mean count(f ≠ 0), t < T", l0_within, _POST,
               "latents/token"),
        Metric("l0_beyond", "L0 beyond context", "mean count(f ≠ 0), t ≥ T", l0_beyond, _POST,
               "latents/token"),
        Metric("l0_beyond_ratio", "L0, beyond / within", "L0 (t ≥ T) / L0 (t < T)",
               l0_beyond_ratio, _POST, direction="one"),
        Metric("fvu_within", "Unexplained within context", "Σ |x̂ − x|² / Σ |x − μ_t|², t < T",
               fvu_within, _POST, direction="lower"),
        Metric("fvu_beyond", "Unexplained beyond context", "Σ |x̂ − x|² / Σ |x − μ_t|², t ≥ T",
               fvu_beyond, _POST, direction="lower"),
        Metric("fvu_beyond_ratio", "Unexplained share, beyond / within",
               "fvu (t ≥ T) / fvu (t < T)", fvu_beyond_ratio, _POST, direction="one"),
        Metric("squared_error_beyond_ratio", "Squared error, beyond / within",
               "mean |x̂ − x|² (t ≥ T) / mean |x̂ − x|² (t < T)", squared_error_beyond_ratio, _POST,
               direction="one"),
        Metric("norm_beyond_ratio", "Norm of activations, beyond / within",
               "mean |x| (t ≥ T) / mean |x| (t < T)", norm_beyond_ratio, _POST),
        Metric("delta_ce_within", "Added loss within context", "CE(x̂) − CE(x), t < T",
               delta_ce_within, _POST, _NATS, "lower"),
        Metric("delta_ce_beyond", "Added loss beyond context", "CE(x̂) − CE(x), t ≥ T",
               delta_ce_beyond, _POST, _NATS, "lower"),
        Metric("delta_ce_growth", "Added loss, beyond − within",
               "(CE(x̂) − CE(x)) (t ≥ T) − (CE(x̂) − CE(x)) (t < T)", delta_ce_growth, _POST, _NATS,
               "lower"),
    ),
)  # fmt: skip
