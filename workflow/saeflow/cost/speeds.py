"""How long passes take on this machine: as those did that left receipts, else as operations tell.

A receipt holds what its pass had to do, as it was planned, and what it took. Read `Speeds`.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saeflow import paths
from saeflow.cost import memory
from saeflow.cost.guess import ZERO, Guess
from saeflow.cost.work import OPERATIONS_PER_S, Work, Works, kind_of
from saeflow.device import machine

if TYPE_CHECKING:
    from saeflow.plan.passes import Pass

ALL_CORES = ("train_lm", "harvest", "sample_dataset")
HALF = ("train_saes", "finetune_saes", "measure")
"""Rules whose jobs compute with many threads, as the rule files say."""

_START_S, _RESULT_S = 3.0, 0.5
_GAIN = 0.85  # n threads do the work of so many: n to this power
_NEGLIGIBLE = 0.1  # the share of rows that are left out, or that do not fill a batch
_MEASURED_S = 1.0
# How far off: what was timed itself, what is of its kind, a measured core, an assumed one.
_SAME, _SIMILAR, _MEASURED, _ASSUMED = 1.5, 2.5, 3.0, 5.0


def threads_of(rule: str, cores: int) -> int:
    """Return the threads that the rules give to a job on ``cores``."""
    return cores if rule in ALL_CORES else max(1, cores // 2) if rule in HALF else 1


def measure() -> float:
    """Return how many times as fast as the assumed core one of this machine's multiplies matrices.

    Of a core its own time counts: others may be at work. A GPU is taken for all cores together.
    """
    import torch

    from saeflow.device import one_thread, pick

    device = pick()
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    a, b = torch.ones(1024, 512, device=device), torch.ones(512, 2048, device=device)
    best, end = math.inf, time.perf_counter() + _MEASURED_S
    with one_thread() as n:
        while time.perf_counter() < end:
            started = clock()
            (a @ b)[0, 0].item()  # waits for a GPU
            best = min(best, clock() - started)
    operations = 2 * a.shape[0] * b.numel()
    return operations / best / OPERATIONS_PER_S / (1 if device.type == "cpu" else n**_GAIN)


class Speeds:
    """Estimates the seconds of passes.

    Parameters
    ----------
    cores
        Of the run.
    find
        Such as `measure`; called once, where no pass like one to come was timed. None assumes 1.
    """

    def __init__(self, cores: int, find: Callable[[], float] | None = None) -> None:
        self.cores, self._find = cores, find
        self._recorded: dict[str, list[_Timed]] = defaultdict(list)
        for timed in _timed_in(Path(paths.RECEIPTS)):
            self._recorded[timed.work["kind"]].append(timed)

    def __call__(self, one: Pass, work: Work) -> Guess:
        """Return the seconds of a pass that does ``work``."""
        n, threads, off = len(one.results), threads_of(one.rule, self.cores), work.amount.times
        if work.unknown:
            return ZERO
        count, each = work.count, work.amount.value / work.count
        recorded = self._recorded.get(kind_of(one.results[0]), [])
        nearest = min(recorded, key=lambda timed: timed.unlike(each, one.place), default=None)
        if nearest is not None and nearest.unlike(each, one.place)[:2] == (0, 0):
            return Guess(nearest.seconds(each, count, n, threads, math.inf), _SAME * off)
        core = self._core(one.rule, threads)
        if nearest is not None:
            return Guess(nearest.seconds(each, count, n, threads, core), _SIMILAR * off)
        computes = one.rule in ALL_CORES + HALF
        seconds = _START_S + computes * _RESULT_S * n + work.amount.value * core
        return Guess(seconds, (_MEASURED if computes and self._find else _ASSUMED) * off)

    def _core(self, rule: str, threads: int) -> float:
        """Return the seconds in which a job does the work of a second of the assumed core."""
        return 1 / threads**_GAIN / (self._faster if rule in ALL_CORES + HALF else 1.0)

    @cached_property
    def _faster(self) -> float:
        return self._find() if self._find else 1.0


class _Timed:
    """A receipt of a pass that was timed."""

    def __init__(self, receipt: Mapping[str, Any]) -> None:
        self.work, self.usage = receipt["work"], receipt["usage"]
        self._place, self._elsewhere = receipt["place"], receipt["machine"] != machine()
        rows, n, seconds = self.work["rows"], self.work["n_results"], self.usage["seconds"]
        counted = sum(one["done"] for one in receipt["speeds"] if one["unit"] == "tokens")
        done = counted / (rows or math.inf)
        # where no rows were counted, an earlier run may have made any share of the results
        self.tells = self.work["amount"] > 0 and (done > 0 or self.usage["results"] >= n)
        loop = min(seconds, sum(one["seconds"] for one in receipt["speeds"]))
        loop = loop or max(0.0, seconds - _START_S)
        # a job that was stopped and went on did less than was planned
        share = done if done and abs(done - 1) > _NEGLIGIBLE else 1.0
        self._each, self._beside = loop / (self.work["count"] * share), seconds - loop
        self._amount = self.work["amount"] / self.work["count"]

    def unlike(self, amount: float, place: Mapping[str, str]) -> tuple[bool, float, bool]:
        """Return how far a pass with an amount for each of its rows is: the least comes first."""
        ratio = round(abs(math.log(amount / self._amount)), 1) if amount else math.inf
        return self._elsewhere, ratio, self._place != dict(place)

    def seconds(
        self, amount: float, count: float, n_results: int, threads: int, core: float
    ) -> float:
        """Return the seconds of a pass that goes as this one did.

        Parameters
        ----------
        amount, count
            Of each row, and as in `Work`.
        n_results, threads
            Of the pass.
        core
            Seconds in which its threads do an amount of one.

        Notes
        -----
        What a row takes more, or less, than here goes as fast as all that a row took here, or as
        a core is: where rows take little, most of their time is not that of their operations.
        What was done beside the rows takes as long, and a moment more for each further result.
        """
        each = self._each * (self.usage["threads"] / threads) ** _GAIN
        each += (amount - self._amount) * min(each / self._amount, core)
        beside = self._beside + _RESULT_S * (n_results - self.work["n_results"])
        return max(min(_START_S, self._beside), beside) + each * count


def _timed_in(directory: Path) -> list[_Timed]:
    """Return what the receipts below a directory tell, the latest first."""
    found = []
    for file in directory.rglob("*.json"):
        try:
            receipt, written = json.loads(file.read_bytes()), file.stat().st_mtime
            if (timed := _Timed(receipt)).tells:
                found.append((written, file, timed))
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            continue  # torn, or of another form: others tell enough
    return [timed for *_, timed in sorted(found, key=lambda one: one[:2], reverse=True)]


def memory_of(one: Pass, works: Works) -> int | None:
    """Return the bytes of a pass at its peak: those recorded there, or as sizes tell; or None."""
    peak = memory.peak(one.results, works)
    for timed in _timed_in(one.receipt.parent):
        grown = max(1.0, (peak or 0.0) / (timed.work["peak"] or math.inf))
        return round(timed.usage["peak_memory_bytes"] * grown)
    return None if peak is None else round(peak)


def foreseen(one: Pass) -> dict[str, Any]:
    """Return what a plan holds of a pass's cost, for Snakemake and for the receipt."""
    works = Works()
    work = works(one.results)
    parts = [other for other in one.before if other.rule == one.rule and other.part]
    return {
        "memory_bytes": memory_of(one, works),
        "work": {
            "kind": kind_of(one.results[0]),
            "n_results": len(one.results),
            "rows": work.rows.value,
            "count": work.count,
            "amount": 0.0 if parts else work.amount.value,  # they have done it
            "peak": memory.peak(one.results, works),
        },
    }
