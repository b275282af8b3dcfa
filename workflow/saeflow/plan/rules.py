"""What the rule files need: the inputs of a job, and the turns of jobs that share a pass."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from saeflow.plan.job import Job
from saeflow.plan.jobfile import is_current, write_job_file

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
    """

    def __init__(
        self,
        wanted: Iterable[Job],
        register_resource: Callable[[str, int], None],
        ancient: Flag,
    ) -> None:
        self._ancient = ancient
        self._current: dict[Job, bool] = {}
        wanted = set(wanted)
        self._bridges = self._find_bridges(wanted)
        passes: dict[tuple[str, ...], list[Job]] = defaultdict(list)
        for job in wanted:
            if job.shared_pass:
                passes[job.shared_pass].append(job)
        self._passes = {key: jobs for key, jobs in sorted(passes.items()) if len(jobs) > 1}
        self._names = {key: f"turn_{i}" for i, key in enumerate(self._passes)}
        for name in self._names.values():
            register_resource(name, 1)

    def job(self, find: FindJob) -> Callable[[Any], str]:
        """Return an input function: the job file, which says whether the job is stale."""

        def job_file(wildcards: Any) -> str:
            job = find(**wildcards)
            companions = self._passes.get(job.shared_pass, ())
            current = self._is_current(job)
            return str(write_job_file(job, current=current, companions=companions))

        return job_file

    def records(self, find: FindJob) -> Callable[[Any], list[str]]:
        """Return an input function: the records that the job reads.

        They are ancient for a job that is current: what happens upstream under the same identity
        is none of its business. For a stale one they are not, since Snakemake looks at a job
        below another one that runs only through the inputs that they share.
        """

        def records(wildcards: Any) -> list[str]:
            job = find(**wildcards)
            found = [str(other.output) for other in job.upstream()]
            if self._is_current(job) and job not in self._bridges:
                return [self._ancient(path) for path in found]
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

    def _is_current(self, job: Job) -> bool:
        if job not in self._current:
            self._current[job] = is_current(job)
        return self._current[job]

    def _find_bridges(self, wanted: set[Job]) -> set[Job]:
        """Return the current jobs between a stale one above and a stale one below.

        They arise when finished bulk was deleted. Snakemake would see the lower job in its next
        call only; running the jobs between, which find their own work finished, leads it there.
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
        seen = set(queue)
        while queue:
            for other in queue.pop().upstream():
                if other not in seen:
                    seen.add(other)
                    queue.append(other)
                    if self._is_current(other) and stale_above(other):
                        bridges.add(other)
        return bridges
