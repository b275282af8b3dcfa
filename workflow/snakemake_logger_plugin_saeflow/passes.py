"""One pass: what it makes, what it is doing, what became of it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from saeflow import paths
from saeflow.cli.words import count
from saeflow.logs import duration

_LOGGED = re.compile(r"(?:\d\d:\d\d:\d\d )?(WARNING|ERROR) (.*)")
_STATUS = re.compile(r"non-zero exit status (\d+)|died with <Signals\.(\w+)")
_KILLED, _STOPPED = ("137", "SIGKILL"), ("130", "143", "SIGINT", "SIGTERM")
_LAST_LINES, _MOST_RESULTS, _MOST_NAMES = 15, 10, 4

DONE, FAILED, STOPPED, RUNNING = "done", "failed", "stopped", "running"
LEFT_OUT = "left out"


@dataclass(eq=False)
class Pass:
    """A job of Snakemake.

    Attributes
    ----------
    root : Path
        The directory that all paths are relative to.
    rule : str
        Name of its rule.
    place : Mapping
        What its results have in common, by wildcard.
    plan : str
        Name of its plan; empty for a job that has none.
    part : sequence or None
        (i, n) of a job that does one of n parts of the work.
    results : list of Mapping
        What it makes: ``record``, ``identity``, ``noun``.
    logs : list of str
        Paths of its logs.
    state : str
        RUNNING, DONE, FAILED, LEFT_OUT because what it needs failed, or STOPPED because somebody
        asked for it.
    error : str
        What Snakemake said of the failure.
    n_left_out : int
        Results that were not tried because what they need failed.
    """

    root: Path
    rule: str
    place: Mapping[str, str]
    plan: str = ""
    part: Sequence[int] | None = None
    results: list[Mapping[str, Any]] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    state: str = RUNNING
    error: str = ""
    n_left_out: int = 0
    _started: float = field(default_factory=lambda: time.monotonic())
    _seconds: float = 0.0

    @property
    def size(self) -> float:
        """How much work it is, in results."""
        return max(1, len(self.results)) / (self.part[1] if self.part else 1)

    @property
    def elapsed(self) -> float:
        """How long it has been running, or took (s)."""
        return time.monotonic() - self._started if self.state == RUNNING else self._seconds

    @property
    def was_stopped(self) -> bool:
        """Whether its job ended because somebody asked it to."""
        return self._status in _STOPPED

    def end(self, state: str) -> None:
        """Note that it is over."""
        self._seconds, self.state = self.elapsed, state

    def settle(self) -> None:
        """Note that its job is done, and what its receipt says of results that were not made."""
        place = {**self.place, "plan": self.plan}
        receipt = {}
        if self.plan and self.rule in paths.PASSES:
            receipt = read(self.root / paths.fill(paths.receipt(self.rule), **place))
        self.n_left_out = len(receipt.get("left_out", ()))
        everything = self.results and self.n_left_out == len(self.results)
        self.end(FAILED if receipt.get("failed") else LEFT_OUT if everything else DONE)

    def where(self, hidden: Collection[str] = ()) -> str:
        """Return its place in words, without the wildcards in ``hidden``."""
        order = re.findall(r"{(\w+)}", paths.PASSES.get(self.rule, ""))
        names = [name for name in order if name in self.place] or list(self.place)
        return " ".join(self.place[name] for name in names if name not in hidden)

    def what(self) -> str:
        """Return what it makes: "7 SAEs"."""
        nouns = Counter(result.get("noun", "result") for result in self.results)
        text = ", ".join(count(n, noun) for noun, n in nouns.items())
        if self.part:
            text += f", part {self.part[0]} of {self.part[1]}"
        return text

    def names(self) -> dict[str, str]:
        """Return what tells its results from each other, by record."""
        known = {*self.place.values(), "on"}
        inner = {}
        for result in self.results:
            _, kind, *parts = PurePosixPath(result["record"]).with_suffix("").parts
            inner[result["record"]] = [part for part in parts if part not in known] or [kind]
        every = list(inner.values())
        first, last = 0, 1  # of one alone, all but the name of its file
        if len(every) > 1:
            first, last = _common(every), _common([parts[::-1] for parts in every])
        return {
            record: "/".join(parts[first : len(parts) - last] or parts)
            for record, parts in inner.items()
        }

    def missing(self) -> list[Mapping[str, Any]]:
        """Return the results that are not there, as far as it was to complete them."""
        if self.part:
            return []
        return [
            result
            for result in self.results
            if read(self.root / result["record"]).get("identity") != result["identity"]
        ]

    def report(self) -> Mapping[str, Any]:
        """Return what its job says of its progress (`saeflow.logs.report_to`), or nothing."""
        return read(self.root / paths.progress_file(self.plan))

    def forget_report(self) -> None:
        """Remove what a job that was killed may have left."""
        (self.root / paths.progress_file(self.plan)).unlink(missing_ok=True)

    def doing(self) -> str:
        """Return its progress in words; nothing before its job reports any."""
        state = self.report()
        if waiting := state.get("waiting"):
            return str(waiting)
        done, total, unit = state.get("done", 0), state.get("total"), state.get("unit", "")
        text = []
        if total:
            text = [f"{done / total:.0%} of {total:,} {unit}"]
        elif done:
            text = [f"{done:,} {unit}"]
        if text:
            desc = str(state.get("desc", ""))
            if desc and re.split(r"\W", desc)[0] not in f"{self.rule} {self.where()}":
                text[0] = f"{desc} {text[0]}"
            speed = state.get("speed", 0)
            text.append(f"{speed:,.0f} {unit}/s" if speed >= 10 else f"{speed:.2g} {unit}/s")
            if (left := left_s(state)) is not None:
                text.append(f"{duration(left)} left")
        if len(self.results) > 1 and (n := state.get("results_done")):
            text.append(f"{n} of {self.what()} made")
        return ", ".join(text)

    def logged(self, level: str) -> list[str]:
        """Return the first lines of what it logged on a level."""
        lines = (_LOGGED.match(line) for line in self._log())
        return [line[2] for line in lines if line and line[1] == level]

    @property
    def _status(self) -> str:
        """With what status or by which signal its command ended, as far as Snakemake said it."""
        found = _STATUS.search(self.error)
        return found[1] or found[2] if found else ""

    def failure(self) -> Iterator[str]:
        """Yield lines about its failure: what is missing, why, and the end of its log."""
        reasons, others = {}, []
        for line in self.logged("ERROR"):
            record, colon, reason = line.partition(": ")
            if colon and any(record == result["record"] for result in self.results):
                reasons[record] = reason
            else:
                others.append(line)
        told = {f"{record}: {reason}" for record, reason in reasons.items()} | set(others[-1:])
        yield from (f"  {line}" for line in self._missing_in_words(reasons))
        if self._status in _KILLED:
            yield "  The process was killed, most likely because memory ran out."
        elif others:
            yield f"  {others[-1]}"
        elif self._status and not reasons:
            yield f"  Its command ended with {self._status}."
        elif not reasons:
            yield from (f"  {line}" for line in self.error.splitlines())
        yield from (f"  log: {path}" for path in self.logs)
        shown = [line for line in self._log() if _said(line) not in told]
        yield from (f"  | {line}" for line in shown[-_LAST_LINES:])

    def _missing_in_words(self, reasons: Mapping[str, str]) -> Iterator[str]:
        names, missing = self.names(), {result["record"] for result in self.missing()}
        names = {record: name for record, name in names.items() if record in missing}
        failed = [record for record in names if record in reasons]
        width = max((len(names[record]) for record in failed[:_MOST_RESULTS]), default=0)
        for record in failed[:_MOST_RESULTS]:
            yield f"{names[record]:<{width}}  {reasons[record]}"
        rest = [*failed[_MOST_RESULTS:], *(record for record in names if record not in reasons)]
        if rest:
            yield f"not made: {some([names[record] for record in rest])}"

    def _log(self) -> list[str]:
        for path in self.logs:
            try:
                if lines := (self.root / path).read_text(errors="replace").splitlines():
                    return lines
            except OSError:
                continue
        return []


def read_plan(root: Path, plan: str) -> dict[str, Any]:
    """Return what a plan says of a pass, as arguments of `Pass`; nothing where it is unreadable."""
    names = ("rule", "place", "part", "results")
    content = read(root / paths.plan_file(plan))
    return {name: content[name] for name in names} if set(names) <= set(content) else {}


def read(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file; an empty one where there is none or another is coming."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def some(names: Sequence[str]) -> str:
    """Return the first few of many names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def left_s(state: Mapping[str, Any]) -> float | None:
    """Return the seconds until what a job reports is done, if it can be told."""
    total, speed = state.get("total"), state.get("speed", 0)
    return max(0.0, (total - state.get("done", 0)) / speed) if total and speed > 0 else None


def _said(line: str) -> str:
    found = _LOGGED.match(line)
    return found[2] if found else ""


def _common(every: Sequence[Sequence[str]]) -> int:
    """Return how many first parts all paths share."""
    n = 0
    for parts in zip(*every, strict=False):
        if len(set(parts)) > 1:
            break
        n += 1
    return n
