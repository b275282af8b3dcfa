"""What would keep a configuration from running on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from saeflow.cli import machine
from saeflow.cli.words import size
from saeflow.cost.speeds import Speeds
from saeflow.cost.summary import summarise
from saeflow.datasets.files import find_files
from saeflow.errors import ConfigError
from saeflow.hub import snapshot
from saeflow.labelled.files import PATHS, dataset_files
from saeflow.plan.current import has_bulk
from saeflow.plan.local import not_there
from saeflow.plan.outputs import Outputs


class Need(NamedTuple):
    """The disk that is still needed, about, and results whose size cannot be told yet, and why."""

    n_bytes: int
    unknown: tuple[str, ...]


def missing_paths(config: Mapping[str, Any], file: Path) -> Iterator[str]:
    """Yield a line for every local path of the configuration that is not there."""
    for name, entry in config["labelled"].items():
        for key in (key for key in PATHS if key in entry):
            try:
                dataset_files(entry[key], where=f"{file} > labelled > {name} > {key}")
            except ConfigError as error:
                yield str(error)
    for section in ("models", "datasets", "prompts", "saes"):
        for name, entry in config[section].items():
            if "path" not in entry or (section == "saes" and "{" in entry["path"]):
                continue
            where = f"{file} > {section} > {name} > path"
            if section in ("datasets", "prompts"):
                try:
                    find_files(entry["path"], where=where, separator=entry.get("separator"))
                except ConfigError as error:
                    yield str(error)
            elif not Path(entry["path"]).expanduser().exists():
                yield str(not_there(entry["path"], where))


def unfetched(outputs: Outputs) -> Iterator[str]:
    """Yield a line for every wanted source on the hub that is not on this machine."""
    plan, wanted = outputs.plan, outputs.wanted
    for section, find, kind in (
        ("models", plan.model, "model"),
        ("datasets", plan.dataset, "dataset"),
        ("prompts", plan.prompts, "dataset"),
        ("labelled", plan.labelled, "dataset"),
    ):
        for name, entry in plan.config[section].items():
            if "hub" not in entry:
                continue
            source = find(name)
            if source in wanted and not has_bulk(source) and not _cached(entry, kind):
                yield f"{section} > {name}: {entry['hub']} is not fetched yet"


def _cached(entry: Mapping[str, Any], kind: str) -> bool:
    """Whether the hub's cache has this revision."""
    there = snapshot(entry["hub"], entry["revision"], kind=kind)
    return there.is_dir() and any(there.iterdir())


def disk_need(outputs: Outputs) -> Need:
    """Estimate what the results that are not there yet will take; `saeflow plan` tells more."""
    summary = summarise(outputs, Speeds(1))
    return Need(round(summary.work.n_bytes.value), tuple(summary.unknown))


def blocks(outputs: Outputs, need: Need, results: Path, *, hub: bool) -> Iterator[str]:
    """Yield what keeps a sound configuration from running here, a line each.

    ``need`` is that of `disk_need`, ``results`` where the results lie, ``hub`` whether it answers.
    """
    if not hub:
        for line in unfetched(outputs):
            yield f"{line}, and the hub does not answer"
    if problem := machine.writing_problem(results):
        yield f"results cannot be written to {problem}"
    if need.n_bytes > (free := machine.free_bytes(results)):
        yield (
            f"the disk: about {size(need.n_bytes)} are needed, {size(free)} are free."
            " `saeflow plan` tells what takes it, `saeflow clean` lists what nothing needs"
        )
