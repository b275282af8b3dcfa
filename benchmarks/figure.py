"""One measured figure, and how a ratio of times is measured."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

REPEATS = 5


class Figure(NamedTuple):
    """One line of the output.

    Attributes
    ----------
    figure : str
        What was measured.
    value : float
        The measured ratio or number.
    target : float or None
        What it should reach; None where it is only told.
    at_least : bool
        Whether a higher value is better.
    unit : str
        "ratio" or a unit.
    """

    figure: str
    value: float
    target: float | None = None
    at_least: bool = True
    unit: str = "ratio"

    @property
    def ok(self) -> bool | None:
        """Whether the target is met."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def line(self) -> str:
        """Return the figure as a line of JSON."""
        return json.dumps({**self._asdict(), "value": round(self.value, 4), "ok": self.ok})


def seconds(function: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratio(
    ours: Callable[[], object], ceiling: Callable[[], object], *, repeats: int = REPEATS
) -> float:
    """Return the median of ``time of ours / time of ceiling`` over interleaved repeats.

    Interleaving lets a slow moment of the machine fall on both.
    """
    ours(), ceiling()  # warm up
    pairs = [(seconds(ours), seconds(ceiling)) for _ in range(repeats)]
    return statistics.median(a / b for a, b in pairs)
