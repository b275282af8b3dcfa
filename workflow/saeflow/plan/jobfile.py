"""Job files: what a job needs to run, and the sign by which Snakemake knows that it is stale.

Snakemake decides by file times, which do not travel and say nothing about content. So each job
has one input that is not `ancient()`: its job file, written while the DAG is built. Where the
identity recorded beside the output is the expected one, the job file's time is 0, older than any
output; otherwise it is newer than the outputs. Nothing depends on ``.snakemake``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from saeflow import paths
from saeflow.files import canonical_json, write_atomic
from saeflow.inventory import MANIFEST, is_whole
from saeflow.plan.job import Job
from saeflow.plan.made import remember
from saeflow.work import RELEASED, bulk_path, released_at


def recorded_identity(record: Path) -> str | None:
    """Return the identity that a record states, or None where there is no readable record."""
    try:
        return json.loads(Path(record).read_bytes())["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def has_bulk(job: Job) -> bool:
    """Whether the job's bulk was finished under its identity, and has every file in its size."""
    if job.suffix is None:
        return False
    return is_whole(bulk_path(job.output, job.identity, job.suffix))


def is_released(job: Job) -> bool:
    """Whether the job's bulk was finished, and its data removed after their last reader."""
    return _released_at(job) is not None


def _released_at(job: Job) -> int | None:
    return None if job.suffix is None else released_at(job.output, job.identity, job.suffix)


def is_current(job: Job) -> bool:
    """Whether the job's result is there and was made under its identity.

    A record that was deleted while its bulk is whole is published again here: had Snakemake to
    do it, everything downstream would run too, since a missing input is never `ancient()`.
    """
    whole = all(file.exists() for file in job.files)
    if job.suffix is not None:
        whole = whole and (has_bulk(job) or is_released(job))
    if whole and job.suffix is not None and not job.output.exists():
        name = RELEASED if is_released(job) else MANIFEST
        manifest = bulk_path(job.output, job.identity, job.suffix) / name
        write_atomic(job.output, manifest.read_bytes())
    return whole and recorded_identity(job.output) == job.identity


def write_job_file(job: Job, *, current: bool, companions: Iterable[Job] = ()) -> Path:
    """Write the job file of ``job`` and return its path.

    Parameters
    ----------
    job
        The job.
    current
        What `is_current` says of it.
    companions
        Wanted jobs that can be done in the same pass; those already done are left out.
    """
    path = paths.job_file(job.output)
    content = describe(job)
    content["together"] = []
    if current:
        remember(content)  # where it was made elsewhere, or published without its job running
        if is_released(job):
            content["released"] = True  # should it run all the same, there is nothing to compute
    else:
        content["together"] = [
            {**_described(other), "released_at": _released_at(other)}
            for other in companions
            if other is not job and not has_bulk(other)
        ]
        # Snakemake ignores a newer time where the checksum is one that it saw before.
        content["stale"] = {"found": recorded_identity(job.output), "noticed_ns": time.time_ns()}
    text = json.dumps(content, sort_keys=True, indent=1)
    if not current or _read(path) != text:
        # Not flushed to disk: the next start would write it again.
        write_atomic(path, text.encode(), flush=False)
    os.utime(path, (0, 0) if current else None)
    if not current:
        _make_newer(path, [job.output, *job.files])
    return path


def describe(job: Job) -> dict[str, Any]:
    """Return the parts of a job file that follow from the configuration and the code alone."""
    return {
        **_described(job),
        "rule": job.rule,
        "files": [str(file) for file in job.files],
        "code": job.code,
        "modules": list(job.modules),
    }


def _described(job: Job) -> dict[str, Any]:
    return {
        "output": str(job.output),
        "identity": job.identity,
        "suffix": job.suffix,
        "settings": json.loads(canonical_json(job.settings)),
        "arguments": dict(job.arguments),
        "inputs": {
            name: [_named(other) for other in jobs] if isinstance(jobs, tuple) else _named(jobs)
            for name, jobs in job.inputs.items()
        },
        "after": [_named(other) for other in job.after],
    }


def _named(job: Job) -> dict[str, Any]:
    return {"record": str(job.output), "identity": job.identity, "suffix": job.suffix}


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def _make_newer(path: Path, outputs: Sequence[Path]) -> None:
    """Give the job file a time after every output, also one from a clock ahead of ours."""
    newest = max((p.stat().st_mtime for p in outputs if p.exists()), default=0.0)
    moment = max(time.time(), newest + 1)
    os.utime(path, (moment, moment))
