"""The cost of a plan by kind of pass and in total. Read `summarise`."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from saeflow import paths
from saeflow.cost.guess import Guess, total
from saeflow.cost.speeds import Speeds, memory_of, threads_of
from saeflow.cost.work import Work, Works, kind_of, together
from saeflow.plan.current import RELEASE
from saeflow.plan.outputs import Outputs
from saeflow.plan.passes import Pass, Schedule

_JOB_S = 1.0  # until Snakemake has begun a job
_LARGEST = 5


class Row(NamedTuple):
    """The passes of one kind: their number, results to make of those wanted, and what they take.

    ``memory_bytes`` is that of the largest, or None.
    """

    kind: str
    passes: int
    missing: int
    wanted: int
    work: Work
    seconds: Guess
    memory_bytes: int | None


class Summary(NamedTuple):
    """What a plan costs.

    Attributes
    ----------
    rows : list of Row
        By kind, in the order of `saeflow.paths.PASSES`.
    work : Work
        Of all passes.
    kept_bytes : Guess
        What stays on the disk: less than is written where stores are temporary.
    seconds : Guess
        On this machine, with jobs side by side as cores allow.
    largest : list of tuple
        (record, bytes) of the largest results to be written.
    unknown, notes : list of str
        What no figure could be given for and why, and what was assumed.
    """

    rows: list[Row]
    work: Work
    kept_bytes: Guess
    seconds: Guess
    largest: list[tuple[str, float]]
    unknown: list[str]
    notes: list[str]


def summarise(outputs: Outputs, speeds: Speeds) -> Summary:
    """Add up the costs of what a configuration wants and does not have."""
    works, passes = Works(), list(Schedule(outputs.wanted, outputs.current))
    work = {one: works(one.results) for one in passes}
    seconds = {one: speeds(one, work[one]) for one in passes}
    wanted = Counter(map(kind_of, outputs.wanted))
    rows = []
    for kind in sorted(wanted, key=lambda kind: ([*paths.PASSES].index(kind.split()[0]), kind)):
        own = [one for one in passes if kind_of(one.results[0]) == kind]
        peak = max((memory_of(one, works) or 0 for one in own), default=0)
        missing = sum(len(one.results) for one in own)
        done, taken = together(work[one] for one in own), total(seconds[one] for one in own)
        rows.append(Row(kind, len(own), missing, wanted[kind], done, taken, peak or None))
    each = {
        result: work[one].n_bytes.value / len(one.results)
        for one in passes
        for result in one.results
    }
    whole = together(work.values())
    released = {one.inputs["activations"] for one in outputs.wanted if one.rule == RELEASE}
    removed = sum(each.get(store, 0.0) for store in released)
    largest = sorted(each, key=lambda result: (-each[result], result.output))[:_LARGEST]
    return Summary(
        rows,
        whole,
        Guess(whole.n_bytes.value - removed, whole.n_bytes.times),
        _side_by_side(passes, seconds, speeds.cores),
        [(str(result.output), each[result]) for result in largest],
        [f"{p.results[0].output.parent}: {w.unknown}" for p, w in work.items() if w.unknown],
        list(works.notes),
    )


def _side_by_side(passes: Sequence[Pass], seconds: Mapping[Pass, Guess], cores: int) -> Guess:
    """Return the seconds until all passes are done, each begun as soon as it can be."""
    waiting, done = list(passes), set[Pass]()
    running: list[tuple[float, str, Pass]] = []
    now, free = 0.0, cores
    while waiting or running:
        for one in [one for one in waiting if done.issuperset(one.before)]:
            if threads_of(one.rule, cores) <= free:
                free -= threads_of(one.rule, cores)
                waiting.remove(one)
                heapq.heappush(running, (now + _JOB_S + seconds[one].value, one.plan, one))
        now, _, ended = heapq.heappop(running)
        free += threads_of(ended.rule, cores)
        done.add(ended)
    return Guess(now, total(seconds.values()).times)
