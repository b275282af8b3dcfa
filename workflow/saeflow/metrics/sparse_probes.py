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

from saeflow.metrics.metric import Measure, Metric, Sums, ratio

_POST = "Annah 2023, Classifying representations of sparse autoencoders"
_CENTRED = "x without its mean over d_in, as of TransformerLens' processed weights"


probed_l0 = ratio("active", "examples")


def probed_mse(sums: Sums) -> np.ndarray:
    """Return the squared error, averaged over probed tokens and the ``d_in`` dimensions."""
    return _of("squared_error", sums) / (sums["examples"] * sums["d_in"])


def probed_fvu(sums: Sums) -> np.ndarray:
    """Return the squared error over the squared distance from the mean of the training texts."""
    return _of("squared_error", sums) / _of("squared_deviation", sums)


def probed_cosine(sums: Sums) -> np.ndarray:
    """Return the mean cosine between x and x_hat over the probed tokens that are not zero."""
    return _of("cosine", sums) / _of("directed", sums)


def probed_l0_centred(sums: Sums) -> np.ndarray:
    """Return the mean number of active latents with the centred x."""
    return _of("active_centred", sums) / sums["examples"]


def probed_mse_centred(sums: Sums) -> np.ndarray:
    """Return the same error with the centred x, held against that."""
    return _of("squared_error_centred", sums) / (sums["examples"] * sums["d_in"])


def probed_cosine_centred(sums: Sums) -> np.ndarray:
    """Return the mean cosine of the centred x and what the SAE makes of it."""
    return _of("cosine_centred", sums) / _of("directed_centred", sums)


def probed_centring(sums: Sums) -> np.ndarray:
    """Return the share of the squared error that is gone where x is centred."""
    return 1 - _of("squared_error_centred", sums) / _of("squared_error", sums)


def _of(name: str, sums: Sums) -> np.ndarray:
    """Return a sum, NaN where there is none."""
    return sums.get(name, np.nan)


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
