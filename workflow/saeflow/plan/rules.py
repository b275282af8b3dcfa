"""What the rule files need: the inputs of a job, and the turns of jobs that share a pass."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from saeflow.plan.current import Current
from saeflow.plan.job import Job
from saeflow.plan.jobfile import write_job_file

FindJob = Callable[..., Job]
Flag = Callable[[str], str]


class Rules:
    """Input and resource functions for the rules of one plan.

    Parameters
    ----------
    wanted
        Every job that some study needs.
    register_resource
        Snakemake's ``workflow.register_resource``.
    ancient
        Snakemake's flag for an input whose time does not count.
    prepare
        Called before a job is planned: what can be set up only once Snakemake plans.
    """

    def __init__(
        self,
        wanted: Iterable[Job],
        register_resource: Callable[[str, int], None],
        ancient: Flag,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._ancient, self._prepare = ancient, prepare
        wanted = set(wanted)
        self._is_current = Current(wanted)
        self._bridges = self._find_bridges(wanted)
        passes: dict[tuple[str, ...], list[Job]] = defaultdict(list)
        for job in wanted:
            if job.shared_pass:
                passes[job.shared_pass].append(job)
        self._passes = dict(sorted(passes.items()))
        shared = [key for key, jobs in self._passes.items() if len(jobs) > 1]
        self._names = {key: f"turn_{i}" for i, key in enumerate(shared)}
        for name in self._names.values():
            register_resource(name, 1)

    def job(self, find: FindJob) -> Callable[[Any], str]:
        """Return an input function: the job file, which says whether the job is stale."""

        def job_file(wildcards: Any) -> str:
            self._prepare()
            job = find(**wildcards)
            current = self._is_current(job)
            together = self._passes.get(job.shared_pass, ())
            companions = [other for other in together if not self._is_current(other)]
            return str(write_job_file(job, current=current, companions=companions))

        return job_file

    def records(
        self, find: FindJob, before: Callable[[Job], Iterable[Job]] = lambda _: ()
    ) -> Callable[[Any], list[str]]:
        """Return an input function: the records that the job reads.

        Parameters
        ----------
        find
            Finds the job of some wildcards.
        before
            Jobs that do a part of a stale job's work; a current one does without them.

        They are ancient for a job that is current: what happens upstream under the same identity
        is none of its business. For a stale one they are not, since Snakemake looks at a job
        below another one that runs only through the inputs that they share.
        """

        def records(wildcards: Any) -> list[str]:
            job = find(**wildcards)
            found = [str(other.output) for other in job.upstream()]
            if self._is_current(job) and job not in self._bridges:
                return [self._ancient(path) for path in found]
            if not self._is_current(job):
                found += [str(other.output) for other in before(job)]
            return found

        return records

    def turns(self, kind: str, find: FindJob) -> dict[str, Callable[[Any], int]]:
        """Return resources by which jobs that share a pass run one after the other.

        The first one to run does the work of all, so a second one beside it would hold a core
        only to wait. Each pass is a resource of which there is one.

        Parameters
        ----------
        kind
            First element of the passes' keys.
        find
            Finds the job of some wildcards.
        """

        def turn(key: tuple[str, ...]) -> Callable[[Any], int]:
            return lambda wildcards: int(find(**wildcards).shared_pass == key)

        return {name: turn(key) for key, name in self._names.items() if key[0] == kind}

    def memory(self, find: FindJob, at_least: int) -> Callable[[Any], int]:
        """Return a resource: megabytes that a job may take, with those of its pass.

        Half as much again as `saeflow plan` estimates, for what the system keeps besides.

        Parameters
        ----------
        find
            Finds the job of some wildcards.
        at_least
            What is asked for where the estimate is lower, or there is none yet.
        """
        from saeflow.cost.estimate import Estimator
        from saeflow.cost.speeds import Speeds

        known: dict[Any, int] = {}

        def megabytes(wildcards: Any) -> int:
            job = find(**wildcards)
            key = job.shared_pass or job.output
            if key not in known:
                peak = Estimator(Speeds(1)).peak(self._passes.get(key, [job]))
                known[key] = max(at_least, math.ceil(1.5 * peak / 1e6))
            return known[key]

        return megabytes

    def _find_bridges(self, wanted: set[Job]) -> set[Job]:
        """Return the current jobs between a stale one above and a stale one below.

        They arise when finished bulk was deleted. Snakemake would see the lower job in its next
        call only; running the jobs between, which find their own work finished, leads it there.
        A job that reads a stale one itself needs no such help.
        """
        above: dict[Job, bool] = {}

        def stale_above(job: Job) -> bool:
            if job not in above:
                above[job] = any(
                    not self._is_current(other) or stale_above(other) for other in job.upstream()
                )
            return above[job]

        bridges: set[Job] = set()
        queue = [job for job in wanted if not self._is_current(job)]
        while queue:
            above_it = set(queue.pop().upstream())
            if all(self._is_current(other) for other in above_it):
                found = {other for other in above_it - bridges if stale_above(other)}
                bridges |= found
                queue.extend(found)
        return bridges
