"""What a person sees while a job runs: log lines, and progress on a terminal or in the log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
_LOG_EVERY_S = 10.0


class Progress:
    """A bar on a terminal, a log line every ten seconds elsewhere.

    Parameters
    ----------
    total
        Number of units to come, or None when unknown.
    desc
        What is being done.
    unit
        The unit's name ("tokens").
    done
        Units that an earlier run finished; they do not count for the speed.
    note
        Returns what else to show, such as the bytes written ("1.2 GB").
    """

    def __init__(
        self,
        total: int | None,
        *,
        desc: str,
        unit: str = "it",
        done: int = 0,
        note: Callable[[], str] | None = None,
    ) -> None:
        self.total, self.desc, self.unit, self.done = total, desc, unit, done
        self._note = note
        self._initial, self._start = done, time.monotonic()
        self._logged = self._start
        self._bar = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total, initial=done, desc=desc, unit=f" {unit}", unit_scale=True, leave=False
            )

    def update(self, n: int = 1) -> None:
        """Count ``n`` more units."""
        self.done += n
        if self._bar is not None:
            if self._note is not None:
                self._bar.set_postfix_str(self._note(), refresh=False)
            self._bar.update(n)
        now = time.monotonic()
        if now - self._logged >= _LOG_EVERY_S:
            self._logged = now
            logger.info("%s", self.text(now))

    def text(self, now: float) -> str:
        """Return the state in a person's words: share, speed, time left."""
        speed = (self.done - self._initial) / max(now - self._start, 1e-9)
        text = f"{self.desc}: {self.done:,} {self.unit}"
        if self.total:
            text = f"{self.desc}: {self.done:,} of {self.total:,} {self.unit}"
            text += f" ({self.done / self.total:.0%})"
        text += f", {speed:,.0f} {self.unit}/s"
        if self._note is not None:
            text += f", {self._note()}"
        if self.total and speed > 0:
            text += f", {_duration((self.total - self.done) / speed)} left"
        return text

    def close(self) -> None:
        """End the bar and log the total."""
        if self._bar is not None:
            self._bar.close()
        now = time.monotonic()
        n = self.done - self._initial
        seconds = now - self._start
        speed = f"{n / max(seconds, 1e-9):,.0f} {self.unit}/s"
        if self._note is not None:
            speed += f", {self._note()}"
        logger.info(
            "%s: %s %s in %s (%s)", self.desc, f"{n:,}", self.unit, _duration(seconds), speed
        )

    def __enter__(self) -> Progress:
        """Begin counting."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the bar."""
        self.close()


def progress(
    items: Iterable[Item], *, desc: str, unit: str = "it", total: int | None = None
) -> Iterator[Item]:
    """Iterate over ``items`` while showing progress."""
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    with Progress(total, desc=desc, unit=unit) as bar:
        for item in items:
            yield item
            bar.update()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
