"""The jobs that share the passes of a harvest, where the configuration asks for several.

A store is completed by its own job, `harvest_activations`. With ``harvest.jobs: N`` that job waits
for N others, which write the shards between them. They change when a store is made and not what
is in it: nothing of them is in any identity, and a store that is there needs none of them. Read
`Parts`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator

from saeflow import paths
from saeflow.activations.commits import commit_path
from saeflow.errors import ConfigError
from saeflow.plan.job import Job
from saeflow.work import MANIFEST, bulk_path

PART = "harvest_part"
_SUFFIX = ".zarr"


class Parts:
    """The parts of each pass.

    Parameters
    ----------
    stores
        The jobs that store activations, all that are wanted.
    n
        Into how many jobs a pass is divided; with 1 there are no parts.
    """

    def __init__(self, stores: Iterable[Job], n: int) -> None:
        self._n = n
        self._passes: dict[tuple[str, ...], list[Job]] = defaultdict(list)
        for job in sorted(stores, key=lambda job: job.output):
            if not job.settings.get("live"):
                self._passes[job.shared_pass].append(job)
        self._jobs: dict[tuple[str, ...], tuple[Job, ...]] = {}

    def of(self, store: Job) -> tuple[Job, ...]:
        """Return the parts that come before a store is completed."""
        key = store.shared_pass
        if self._n == 1 or key not in self._passes:
            return ()
        if key not in self._jobs:
            self._jobs[key] = tuple(self._part(key, part) for part in range(1, self._n + 1))
        return self._jobs[key]

    def __iter__(self) -> Iterator[Job]:
        """Yield the parts of every pass."""
        for stores in self._passes.values():
            yield from self.of(stores[0])

    def find(self, *, part: str, of: str, **place: str) -> Job:
        """Return one part; wildcards of its receipt."""
        stores = self._passes.get(("harvest", *place.values()))
        if not stores or int(of) != self._n or not 1 <= int(part) <= self._n or self._n == 1:
            raise ConfigError(
                "there is no such part of a harvest",
                where="harvest > jobs",
                expected=f"a part of {self._n}, of a pass that some study wants",
                got=paths.fill(paths.PART, part=part, of=of, **place),
            )
        return self.of(stores[0])[int(part) - 1]

    def _part(self, key: tuple[str, ...], part: int) -> Job:
        stores = self._passes[key]
        place = dict(zip(("model", "dataset", "packing"), key[1:], strict=True))
        return Job(
            rule=PART,
            output=paths.fill(paths.PART, part=part, of=self._n, **place),
            settings={
                "part": part,
                "of": self._n,
                "stores": {job.settings["hook"]: job.identity for job in stores},
            },
            inputs=stores[0].inputs,
            shared_pass=key,
        )


def shards_are_there(part: Job) -> bool:
    """Whether the shards that a part's receipt names still exist, finished or not."""
    try:
        receipt = json.loads(part.output.read_bytes())
        shards, stores = range(*receipt["shards"]), receipt["stores"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    for hook, identity in stores.items():
        final = bulk_path(part.output.parent.parent / f"{hook}.json", identity, _SUFFIX)
        if (final / MANIFEST).is_file():
            continue
        partial = final.with_name(f"{final.name}.partial")
        if not all(commit_path(partial, shard).is_file() for shard in shards):
            return False
    return True
