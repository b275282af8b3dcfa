"""What a person sees while a job runs: log lines, progress, and what it took in the end.

`Progress` is what the library counts with. A job that runs in a pass reports it to a file besides
(`report_to`), which whoever started the job may read, and keeps its speeds and its usage for its
receipt.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from saeflow.errors import SaeflowError
from saeflow.files import write_atomic

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
FOLLOWED = "SAEFLOW_FOLLOWED"
"""Environment variable of jobs whose progress, warnings and failure their parent shows."""

_LOG_EVERY_S = 10.0
_REPORT_EVERY_S = 1.0
_began = time.monotonic()


def followed() -> bool:
    """Return whether somebody reads this job's report and log, and shows them."""
    return bool(os.environ.get(FOLLOWED))


class Progress:
    """A log line every ten seconds, and a bar on a terminal where nobody follows the job.

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
        if sys.stderr.isatty() and not followed():
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
        if _report is not None:
            _report.show(self, now)

    def speed(self, now: float) -> float:
        """Return the units per second since the start, those of earlier runs not counted."""
        return (self.done - self._initial) / max(now - self._start, 1e-9)

    def text(self, now: float) -> str:
        """Return the state in a person's words: share, speed, time left."""
        speed = self.speed(now)
        text = f"{self.desc}: {self.done:,} {self.unit}"
        if self.total:
            text = f"{self.desc}: {self.done:,} of {self.total:,} {self.unit}"
            text += f" ({self.done / self.total:.0%})"
        text += f", {speed:,.0f} {self.unit}/s"
        if self._note is not None:
            text += f", {self._note()}"
        if self.total and speed > 0:
            text += f", {duration((self.total - self.done) / speed)} left"
        return text

    def close(self) -> None:
        """End the bar and log the total."""
        if self._bar is not None:
            self._bar.close()
        now = time.monotonic()
        n = self.done - self._initial
        seconds = now - self._start
        _ended.append({"desc": self.desc, "unit": self.unit, "done": n, "seconds": seconds})
        if _report is not None:
            _report.show(self, now, last=seconds >= _REPORT_EVERY_S)
        speed = f"{self.speed(now):,.0f} {self.unit}/s"
        if self._note is not None:
            speed += f", {self._note()}"
        logger.info(
            "%s: %s %s in %s (%s)", self.desc, f"{n:,}", self.unit, duration(seconds), speed
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


class _Report:
    """A small file with what the job is doing, written at most once a second."""

    def __init__(self, path: Path) -> None:
        self._path, self._started_s = path, time.time()
        self._state: dict[str, Any] = {"desc": "", "done": 0, "total": None, "unit": "", "speed": 0}
        self._results_done = 0
        self._written = -_REPORT_EVERY_S

    def show(self, progress: Progress, now: float, *, last: bool = False) -> None:
        """Report where ``progress`` is; ``last`` is written whenever it comes."""
        if now - self._written >= _REPORT_EVERY_S or last:
            self._state = {
                "desc": progress.desc,
                "done": progress.done,
                "total": progress.total,
                "unit": progress.unit,
                "speed": progress.speed(now),
            }
            self._write(now)

    def wait(self, words: str) -> None:
        """Report what is waited for; "" when it is no longer."""
        self._state["waiting"] = words
        self._write(time.monotonic())

    def count(self) -> None:
        """Report that one more result is there."""
        self._results_done += 1
        now = time.monotonic()
        if now - self._written >= _REPORT_EVERY_S:
            self._write(now)

    def _write(self, now: float) -> None:
        self._written = now
        state = {
            **self._state,
            "started_s": self._started_s,
            "results_done": self._results_done,
        }
        with suppress(OSError, SaeflowError):  # a job does not fail for want of a report
            write_atomic(self._path, json.dumps(state, default=float).encode(), flush=False)

    def close(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


_report: _Report | None = None
_results = 0
_ended: list[dict[str, Any]] = []


def report_to(path: Path) -> None:
    """Report all progress of this process to a file, until `close_report`.

    The file is JSON, replaced at most once a second: ``desc``, ``done``, ``total`` (or null),
    ``unit`` and ``speed`` (units per second) as in `Progress`, ``started_s`` (when the report
    began, Unix time), ``results_done`` and, while another process is waited for, ``waiting``.
    """
    global _report
    _report = _Report(Path(path))


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """Show what this process waits for, in the log, and where nobody follows it on the screen."""
    began = time.monotonic()
    if _report is not None:
        _report.wait(words)
    logger.log(logging.INFO if followed() else logging.WARNING, "%s", words)
    try:
        yield
    finally:
        logger.info("waited for %s", duration(time.monotonic() - began))
        if _report is not None:
            _report.wait("")


def count_result() -> None:
    """Report that one more result of the pass is there."""
    global _results
    _results += 1
    if _report is not None:
        _report.count()


def close_report() -> None:
    """Remove the report, if there is one."""
    global _report
    if _report is not None:
        _report.close()
    _report = None


def speeds() -> list[dict[str, Any]]:
    """Return ``desc``, ``unit``, ``done`` and ``seconds`` of every progress that has ended.

    What an earlier run had done does not count in ``done``.
    """
    return [dict(one) for one in _ended]


def usage() -> dict[str, Any]:
    """Return what this process took until now.

    ``seconds`` since this module was imported, ``cpu_seconds`` with those of child processes that
    ended, ``peak_memory_bytes`` of this process alone, the ``threads`` it may compute with, and the
    ``results`` that it finished.
    """
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return {
        "seconds": time.monotonic() - _began,
        "cpu_seconds": cpu,
        "peak_memory_bytes": _peak_memory(own.ru_maxrss),
        "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1),
        "results": _results,
    }


def _peak_memory(maxrss: int) -> int:
    # On Linux ru_maxrss outlives exec: it may be the memory of the process that started this one.
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return maxrss if sys.platform == "darwin" else maxrss * 1024


def duration(seconds: float) -> str:
    """Return a time in words: "4 min 10 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
