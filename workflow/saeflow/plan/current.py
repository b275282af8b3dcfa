"""Which jobs have their results, once all that are wanted are known.

For most jobs `saeflow.plan.jobfile.is_current` says it. A store whose data were removed after
their last reader counts as current while no reader needs them: what was made from them is there.
Read `Current`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from saeflow.plan.job import Job
from saeflow.plan.jobfile import has_bulk, is_current, is_released
from saeflow.plan.parts import PART, shards_are_there

HARVEST = "harvest_activations"
RELEASE = "release_activations"


class Current:
    """Says of each job whether its result is there and will do.

    Parameters
    ----------
    wanted
        Every job of a run: whether a removed store is needed depends on those that read it.
    """

    def __init__(self, wanted: Iterable[Job]) -> None:
        self._known: dict[Job, bool] = {}
        self._readers: dict[Job, list[Job]] = defaultdict(list)
        for job in wanted:
            if job.rule != RELEASE:
                for other in job.upstream():
                    self._readers[other].append(job)

    def __call__(self, job: Job) -> bool:
        """Whether the job need not run."""
        if job not in self._known:
            self._known[job] = self._find(job)
        return self._known[job]

    def needing(self, job: Job) -> list[Job]:
        """Return the readers of a job that have yet to be computed from its data."""
        return [reader for reader in self._readers[job] if not (self(reader) or has_bulk(reader))]

    def _find(self, job: Job) -> bool:
        if not is_current(job) or (job.rule == PART and not shards_are_there(job)):
            return False
        if job.rule == RELEASE:
            store = job.inputs["activations"]
            return is_released(store) and self(store)
        return not (is_released(job) and self.needing(job))
