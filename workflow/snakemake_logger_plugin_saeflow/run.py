"""All passes of a run: how many there are, how far they are, how long the rest will take."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from saeflow import paths
from snakemake_logger_plugin_saeflow.passes import (
    DONE,
    FAILED,
    RUNNING,
    Pass,
    left_s,
    read,
    read_plan,
)

_RECEIPTS_READ = 30
_MOST_TIMES = 3.0
_OF_DATA = ("configuration", "dataset", "packing", "eval_dataset", "eval_packing")


class Run:
    """The passes that Snakemake runs.

    Attributes
    ----------
    passes : dict
        Those that began, by Snakemake's number of the job.
    hidden : frozenset of str
        Wildcards of data that are the same in all passes: nobody need read them in every line.
    planned : bool
        Whether Snakemake has found out what there is to do.
    rule_width, widest : int
        Length of the longest name of a rule and of the longest place.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.hidden, self.planned = root, frozenset(), False
        self.passes: dict[int, Pass] = {}
        self.rule_width = self.widest = 0
        self._began = time.monotonic()
        self._counts: dict[str, int] = {}
        self._to_come: list[Pass] = []
        self._recorded: dict[str, list[tuple[float, int]]] = {}

    def expect(self, jobs_by_rule: Mapping[str, int]) -> None:
        """Learn how many jobs there are, what they may make and how long such took before."""
        self.planned = True
        self._counts = {rule: n for rule, n in jobs_by_rule.items() if rule in paths.PASSES}
        self._to_come = []
        values: dict[str, set[str]] = defaultdict(set)
        receipts = list((self.root / paths.RECEIPTS).rglob("*.json"))
        there = {receipt.stem for receipt in receipts}
        for file in (self.root / paths.PLANS).glob("*.json"):
            plan = read_plan(self.root, file.stem) if file.stem not in there else {}
            if plan.get("rule") in self._counts:
                one = Pass(self.root, plan=file.stem, **plan)
                self._to_come.append(one)
                for name in one.place:
                    values[name].add(one.place[name])
        self.hidden = frozenset(name for name in _OF_DATA if len(values[name]) == 1)
        self.widest = max((len(self.where(one)) for one in self._to_come), default=0)
        self.rule_width = max(map(len, self._counts), default=0)
        for rule in self._counts:
            under = self.root / paths.RECEIPTS / rule
            self._recorded[rule] = _recorded(one for one in receipts if one.is_relative_to(under))

    @property
    def total(self) -> int:
        """How many passes there are."""
        return max(sum(self._counts.values()), len(self.passes))

    def of(self, state: str) -> list[Pass]:
        """Return the passes that are done, failed, were stopped, or run."""
        return [one for one in self.passes.values() if one.state == state]

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def where(self, one: Pass) -> str:
        """Return a pass's place; data that are the same everywhere only if nothing else is left."""
        return one.where(self.hidden) or one.where()

    def counted(self) -> str:
        """Return how many passes are done, in words."""
        failed = len(self.of(FAILED))
        text = f"{len(self.of(DONE))} of {passes(self.total)}"
        return f"{text}, {failed} failed" if failed else text

    def so_far(self) -> str:
        """Return how many passes are done and how long the rest may take, in words."""
        over = len(self.passes) - len(self.of(RUNNING))
        left = self.left_s() if over < self.total else None
        if left is None:
            return self.counted()
        minutes = round(left / 60)
        words = f"about {minutes // 60} h {minutes % 60:02d} min"
        if minutes < 60:
            words = f"about {minutes} min" if minutes else "less than a minute"
        return f"{self.counted()}, {words} left"

    def left_s(self) -> float | None:
        """Return how long the rest will take (s); None where there is nothing to judge by.

        From passes of the same rule, in this run or by its receipts, and how many results they
        had; one of many more results shares its work among them, and is not taken for more than
        `_MOST_TIMES` as long. For a rule that has none, from the mean of the passes that are done
        once they are a third of all. As many passes as ran side by side until now are taken to do
        so until the end.
        """
        work, busy = 0.0, sum(one.elapsed for one in self.passes.values())
        for one in self.of(RUNNING):
            expected, reported = self._expected_s(one.rule, one.size), left_s(one.report())
            if expected is None and reported is None:
                return None
            work += max((expected or 0.0) - one.elapsed, reported or 0.0)
        begun = {one.plan for one in self.passes.values()}
        for rule, n in self._counts.items():
            sizes = [o.size for o in self._to_come if o.rule == rule and o.plan not in begun]
            n_to_come = n - sum(one.rule == rule for one in self.passes.values())
            if n_to_come > 0:  # their plans are among those that were never run
                expected = self._expected_s(rule, sum(sizes) / len(sizes) if sizes else 1.0)
                if expected is None:
                    return None
                work += n_to_come * expected
        return work / max(1.0, busy / max(self.elapsed, 1e-9))

    def _expected_s(self, rule: str, size: float) -> float | None:
        alike = [(one.elapsed, one.size) for one in self.of(DONE) if one.rule == rule]
        if alike := alike or self._recorded.get(rule, []):
            seconds, sizes = (sum(column) / len(alike) for column in zip(*alike, strict=True))
            return seconds * min(_MOST_TIMES, max(1 / _MOST_TIMES, size / sizes))
        done = self.of(DONE)
        return sum(one.elapsed for one in done) / len(done) if 3 * len(done) >= self.total else None


def passes(n: int) -> str:
    """Return a number of passes in words."""
    return "1 pass" if n == 1 else f"{n} passes"


def _recorded(receipts: Iterable[Path]) -> list[tuple[float, int]]:
    """Return the seconds and the number of results of each of the latest receipts."""
    found = []
    for file in sorted(receipts, key=_modified)[-_RECEIPTS_READ:]:
        receipt = read(file)
        if took := receipt.get("usage", {}).get("seconds"):
            found.append((took, max(1, len(receipt.get("results", ())))))
    return found


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
