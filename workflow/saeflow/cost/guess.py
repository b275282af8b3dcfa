"""A number with the factor by which it may be off, so that an estimate says how good it is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class UnknownError(Exception):
    """Why no figure can be given yet."""


class Guess(NamedTuple):
    """An estimate.

    Attributes
    ----------
    value : float
        The best guess.
    times : float
        It may be so many times more, or less; 1 where it is exact.
    """

    value: float
    times: float = 1.0

    @property
    def exact(self) -> bool:
        """Whether it is no guess."""
        return self.times == 1.0

    def scaled(self, factor: float, times: float = 1.0) -> Guess:
        """Return ``factor`` of it, where the factor itself may be ``times`` off."""
        return Guess(self.value * factor, self.times * times)


ZERO = Guess(0.0)


def total(parts: Iterable[Guess]) -> Guess:
    """Return the sum; its factor is the mean of theirs in logarithms, weighted by their share.

    Large parts count for more. Errors of different parts are not assumed to cancel.
    """
    parts = [part for part in parts if part.value > 0]
    whole = sum(part.value for part in parts)
    if not whole:
        return ZERO
    log = sum(part.value * math.log(part.times) for part in parts) / whole
    return Guess(whole, math.exp(log))
