"""What the rule files need: inputs of a job, the turns of jobs that share a pass, threads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from saeflow.plan.job import Job
from saeflow.plan.jobfile import write_job_file

FindJob = Callable[..., Job]


class Rules:
    """Input and resource functions for the rules of one plan.

    Parameters
    ----------
    wanted
        Every job that some study needs.
    register_resource
        Snakemake's ``workflow.register_resource``.
    """

    def __init__(
        self, wanted: Iterable[Job], register_resource: Callable[[str, int], None]
    ) -> None:
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
            return str(write_job_file(job, self._passes.get(job.shared_pass, ())))

        return job_file

    def records(self, find: FindJob) -> Callable[[Any], list[str]]:
        """Return an input function: the records that the job reads, to be `ancient()`."""
        return lambda wildcards: [str(job.output) for job in find(**wildcards).upstream()]

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
