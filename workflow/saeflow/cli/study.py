"""The configuration that a command speaks of, its plan, and the job behind a path."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from saeflow import paths
from saeflow.config.checks import resolve
from saeflow.config.reading import read_config
from saeflow.errors import ConfigError, SaeflowError
from saeflow.plan.job import Job
from saeflow.plan.outputs import Outputs
from saeflow.plan.plan import Plan
from saeflow.work import IDENTITY_CHARACTERS

BULK = re.compile(
    rf"(?P<stem>.+?)\.(?P<identity>[0-9a-f]{{{IDENTITY_CHARACTERS}}})"
    r"(?P<suffix>\.zarr)?(?P<state>\.partial|\.removed)?"
)
"""The names of bulk directories, see `saeflow.work`; ``.removed`` is one that `clean` removes."""

_ALONE = ("model", "tokenizer", "dataset", "tokens", "sae")
"""Records that name the directory in which they lie."""


class Study(NamedTuple):
    """A configuration and everything that follows from it.

    Attributes
    ----------
    file : Path
        Where it was read.
    config : dict
        With defaults filled in.
    plan : Plan
        Finds the jobs, wanted or not.
    wanted : dict
        Record -> job, for every job that the report needs.
    parts : list of Job
        The jobs that a divided harvest leaves a part of its work to.
    """

    file: Path
    config: dict[str, Any]
    plan: Plan
    wanted: dict[Path, Job]
    parts: list[Job]


def add_configfile(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the option that names the configuration."""
    about = "the configuration; config.yaml here by default"
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+" if several else None,
        default=[Path("config.yaml")] if several else Path("config.yaml"),
        metavar="FILE",
        help=about + (", several where they share results" if several else ""),
    )


def open_study(file: Path) -> Study:
    """Read a configuration and plan it; the first problem is a `ConfigError`."""
    config = resolve(read_config(file), file=str(file))
    plan = Plan(config, file=str(file))
    outputs = Outputs(plan)
    wanted = {job.output: job for job in outputs.wanted()}
    return Study(file, config, plan, wanted, list(outputs.parts))


def inside(target: Path) -> Path:
    """Return a path relative to the working directory, as records are named."""
    relative = Path(os.path.relpath(target))
    if relative.parts[:1] != (paths.RESULTS,):
        raise SaeflowError(
            "this is not one of the workflow's results",
            where=target,
            expected=f"a path below {paths.RESULTS}/, from the directory of the configuration",
        )
    return relative


def bulk_parts(target: Path) -> tuple[Path, re.Match[str]] | None:
    """Return the record of the bulk that ``target`` is or lies in, and the bulk's parsed name."""
    for path in (target, *target.parents):
        if match := BULK.fullmatch(path.name):
            return path.parent / f"{match['stem']}.json", match
    return None


def find_job(study: Study, target: Path) -> Job:
    """Return the job that makes a result.

    Parameters
    ----------
    study
        Where to look.
    target
        A record, another declared file, bulk or something in it, or the directory of a record
        that names it (an SAE's), relative to the working directory.
    """
    bulk = bulk_parts(target)
    record = bulk[0] if bulk else target
    candidates = [record, *(record / f"{name}.json" for name in _ALONE)]
    for job in study.wanted.values():
        if any(path in (job.output, *job.files) for path in candidates):
            return job
    for path in candidates:
        if job := _defined(study.plan, path):
            return job
    known = [str(path) for job in study.wanted.values() for path in (job.output, *job.files)]
    close = difflib.get_close_matches(str(target), known, n=1)
    raise ConfigError(
        f"nothing in {study.file} makes this",
        where=target,
        remedy=f"Did you mean {close[0]}?" if close else None,
    )


def _defined(plan: Plan, record: Path) -> Job | None:
    """Return the job of a record that no study wants but that the configuration defines."""
    finders: dict[str, Callable[..., Job]] = {
        paths.MODEL: plan.model,
        paths.TOKENIZER: plan.tokenizer,
        paths.DATASET: plan.dataset,
        paths.TOKENS: plan.tokens,
        paths.ACTIVATIONS: plan.activations,
        paths.SAE: plan.sae,
        paths.RECONSTRUCTION: plan.reconstruction,
        paths.LANGUAGE: plan.language,
        paths.PROBES: plan.probes,
        paths.BENCHMARKS: plan.benchmarks,
    }
    for pattern, find in finders.items():
        if wildcards := _match(pattern, record):
            try:
                return find(**wildcards)
            except ConfigError:
                return None
    return None


def _match(pattern: str, path: Path) -> dict[str, str] | None:
    parts = re.split(r"\{(\w+)\}", pattern)
    regex = "".join(
        f"(?P<{part}>{paths.WILDCARDS[part]})" if index % 2 else re.escape(part)
        for index, part in enumerate(parts)
    )
    match = re.fullmatch(regex, path.as_posix())
    return match and {name: match[name] for name in parts[1::2]}
