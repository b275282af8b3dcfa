"""How the learning rate and a penalty's coefficient change over a training run.

They are counted in tokens, so that they are the same however the tokens are cut into batches.
Read `learning_rate`.
"""

from __future__ import annotations

import math


def learning_rate(
    base: float,
    *,
    tokens: int,
    batch: int,
    total: int,
    warmup: int,
    decay: int,
    shape: str = "linear",
) -> float:
    """Return the learning rate of the step that starts after ``tokens`` of ``total`` tokens.

    It rises linearly to ``base`` over the first ``warmup`` tokens, those of the step's own
    ``batch`` among them, and falls to zero over the last ``decay`` (0 keeps it constant), "linear"
    or by half a period of a "cosine".
    """
    rise = min(1.0, (tokens + batch) / warmup) if warmup else 1.0
    left = min(1.0, (total - tokens) / decay) if decay else 1.0
    fall = left if shape == "linear" else (1 - math.cos(math.pi * left)) / 2
    return base * min(rise, fall)


def ramp(tokens: int, over: int | None, total: int) -> float:
    """Return the share of a coefficient after ``tokens``, which rises linearly from 0 to 1.

    ``over`` is the length of the rise in tokens; None for a twentieth of the run's ``total``.
    """
    over = total // 20 if over is None else over
    return min(1.0, tokens / over) if over else 1.0
