"""Numbers with the factor by which they may be off, and what a pass does in such numbers."""

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


class Work(NamedTuple):
    """What a pass does.

    Attributes
    ----------
    rows : Guess
        Rows or tokens that are processed.
    amount : Guess
        Seconds of the assumed core; how far off only as far as the rows are.
    n_bytes, files : Guess
        What is written.
    count : float
        Of what speeds are compared by: rows, of SAEs those of each; results where there are none.
    unknown : str
        Why there are no figures, where there are none.
    """

    rows: Guess = ZERO
    amount: Guess = ZERO
    n_bytes: Guess = ZERO
    files: Guess = ZERO
    count: float = 0.0
    unknown: str = ""
