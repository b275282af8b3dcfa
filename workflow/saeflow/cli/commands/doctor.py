"""Print what this machine has, and what would keep the configuration from running on it.

Ends with 1 where something would.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saeflow.cli.study import Study

HELP = "print versions, device, disk, network, and what blocks the configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from saeflow.cli.study import add_configfile

    add_configfile(parser)


def run(options: argparse.Namespace) -> int:
    """Print all facts, then the verdict."""
    from saeflow.cli import machine

    _section("versions", [("python", platform.python_version()), *machine.versions()])
    answers = not machine.is_offline() and machine.hub_answers()
    _section("machine", _machine_rows(answers))
    problems = [f"the package {name} is not installed" for name in machine.missing_packages()]
    facts, found = _examine(options.configfile, answers)
    _section("configuration", [("file", str(options.configfile)), *facts])
    problems.extend(found)
    print("nothing blocks it" if not problems else "blocked by")
    for problem in problems:
        print(f"  - {problem}")
    return 1 if problems else 0


def _section(title: str, rows: list[tuple[str, str]]) -> None:
    print(title)
    for name, text in rows:
        print(f"  {name:<16} {text}")
    print()


def _machine_rows(answers: bool) -> list[tuple[str, str]]:
    from saeflow import paths
    from saeflow.cli import machine
    from saeflow.cli.words import size

    hub = "answers" if answers else "does not answer"
    if machine.is_offline():
        hub = "not asked: HF_HUB_OFFLINE is set"
    results = Path(paths.RESULTS)
    return [
        ("device", machine.device()),
        ("cores", machine.cores()),
        ("memory", machine.memory()),
        ("free disk", f"{size(machine.free_bytes(results))} at {machine.existing(results)}"),
        ("hub", hub),
        ("slurm", machine.slurm()),
    ]


def _examine(file: Path, answers: bool) -> tuple[list[tuple[str, str]], list[str]]:
    """Return facts about the configuration, and what blocks it."""
    from saeflow import paths
    from saeflow.cli import blocks
    from saeflow.cli.study import configuration, open_study
    from saeflow.cli.words import count, size
    from saeflow.errors import SaeflowError

    try:
        config = configuration(file)
        if missing := list(blocks.missing_paths(config, file)):
            return [], missing
        study = open_study(file)
        need = blocks.disk_need(study.outputs)
        problems = list(blocks.blocks(study.outputs, need, Path(paths.RESULTS), hub=answers))
    except SaeflowError as error:
        return [], [str(error)]
    facts = [
        ("studies", ", ".join(sorted(config["studies"]))),
        ("results", _progress(study)),
        ("disk needed", f"about {size(need.n_bytes)} more" if need.n_bytes else "none"),
    ]
    if need.unknown:
        facts.append(("", f"and {count(len(need.unknown), 'result')} of unknown size"))
    return facts, problems


def _progress(study: Study) -> str:
    wanted = study.outputs.wanted
    return f"{len(wanted)}, of which {sum(map(study.outputs.current, wanted))} are there"
