"""What SAEs make of the states of labelled texts: formulas from sums over texts.

Probes of codes are kept as fits and scores, of which the tables of a study form what they need.
Formed here is what an SAE gives back of the probed tokens, the last of each text. Sums over texts:

    examples                                  1
    active                                    latents unequal zero
    squared_error, squared_deviation          |x_hat - x|^2, and |x - mu|^2, mu the mean of x over
                                              the texts of a dataset that probes are trained on
    directed, cosine                          1 where x is not zero, and cos(x, x_hat)

and the same with ``_centred``, where the SAE is given x without its mean over d_in, as weights
that TransformerLens processed have the residual stream, and is held against that. Of a transcoder
only ``active`` is there.
"""

from __future__ import annotations

import numpy as np

from saeflow.metrics.metric import Formula, Measure, Metric, Sums, ratio

_POST = "Annah 2023, Classifying representations of sparse autoencoders"
_CENTRED = "x without its mean over d_in, as of TransformerLens' processed weights"


probed_l0 = ratio("active", "examples")


def _of(above: str, below: str) -> Formula:
    """Return the formula of one sum over another, NaN where there is none."""
    return lambda sums: sums.get(above, np.nan) / sums.get(below, np.nan)


def _mse(error: str) -> Formula:
    return lambda sums: sums.get(error, np.nan) / (sums["examples"] * sums["d_in"])


probed_mse = _mse("squared_error")
probed_fvu = _of("squared_error", "squared_deviation")
probed_cosine = _of("cosine", "directed")
probed_l0_centred = _of("active_centred", "examples")
probed_mse_centred = _mse("squared_error_centred")
probed_cosine_centred = _of("cosine_centred", "directed_centred")


def probed_centring(sums: Sums) -> np.ndarray:
    """Return the share of the squared error that is gone where x is centred."""
    return 1 - _of("squared_error_centred", "squared_error")(sums)


MEASURE = Measure(
    name="sparse_probes",
    text="Probes of an SAE's codes on labelled texts, beside those of what it gives back, of what"
    " it leaves out, and of as many principal components and random directions; its error there.",
    compute="saeflow.measures.sparse_probes.measure:measure_sparse_probes",
    reads=("states", "labelled", "model"),
    together=True,
    section="probing",
    ignores=("states",),
    metrics=(
        Metric("probed_l0", "L0 at probed tokens", "mean L0 at the texts' last tokens", probed_l0,
               _POST),
        Metric(
            "probed_mse", "MSE at probed tokens", "mean |x̂ − x|² / d_in at the texts' last tokens",
            probed_mse, _POST, direction="lower",
        ),
        Metric(
            "probed_fvu", "FVU at probed tokens",
            "Σ|x̂ − x|² / Σ|x − μ|² at the texts' last tokens, μ the mean over training texts",
            probed_fvu, "as everywhere, by dataset", direction="lower",
        ),
        Metric(
            "probed_cosine", "Cosine at probed tokens", "mean cos(x, x̂) at the texts' last tokens",
            probed_cosine, _POST, direction="higher",
        ),
        Metric(
            "probed_l0_centred", "L0 at probed tokens, centred", f"the same of {_CENTRED}",
            probed_l0_centred, _POST,
        ),
        Metric(
            "probed_mse_centred", "MSE at probed tokens, centred", f"the same of {_CENTRED}",
            probed_mse_centred, _POST, direction="lower",
        ),
        Metric(
            "probed_cosine_centred", "Cosine at probed tokens, centred",
            f"the same of {_CENTRED}", probed_cosine_centred, _POST, direction="higher",
        ),
        Metric(
            "probed_centring", "Error that centring takes away",
            "1 − Σ|x̂ − x|² with x centred / as it is", probed_centring, _POST,
        ),
    ),
)  # fmt: skip
