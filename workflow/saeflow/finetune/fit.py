"""What every method computes: the error of a scaled decoding and its gradient."""

from __future__ import annotations

from torch import Tensor

from saeflow.sae.codes import Codes
from saeflow.sae.step import sum_of_squares


def error_of(
    x: Tensor, codes: Codes, scale: Tensor, W_dec: Tensor, b_dec: Tensor
) -> tuple[Tensor, float]:
    """Return x_hat - x (n, d_in) with x_hat = (scale * f) W_dec + b_dec, and its sum of squares.

    Parameters
    ----------
    x
        (n, d_in): activations.
    codes
        f: the latents of ``x``.
    scale, W_dec, b_dec
        (d_sae,), (d_sae, d_in), (d_in,).
    """
    scaled = codes.with_values(codes.values * scale.index_select(0, codes.index))
    error = scaled.decode(W_dec).add_(b_dec).sub_(x)
    return error, sum_of_squares(error)


def squared_error_gradient(error: Tensor) -> Tensor:
    """Turn ``error`` (n, d_in), in place, into d loss / d x_hat of its mean square."""
    return error.mul_(2 / error.numel())
