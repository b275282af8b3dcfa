"""Print what a configuration will cost before any of it runs: disk, files, time and memory.

Per rule: jobs, those that have to run, rows or tokens, and what these will take on this machine.
Speeds are measured in a few seconds with random weights (--no-calibrate assumes them instead).
"~" marks an estimate; sizes of stores whose tokens are known are exact. Ends with 1 where the
disk cannot hold it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saeflow.cost.summary import Summary

HELP = "print disk, files, time and memory of the configuration before it runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from saeflow.cli.study import add_configfile

    add_configfile(parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--no-calibrate", action="store_true", help="assume this machine's speeds, measure none"
    )
    parser.add_argument("--cores", type=int, help="cores of the run; all of this machine's here")


def run(options: argparse.Namespace) -> int:
    """Print the plan's costs."""
    import os

    from saeflow import paths
    from saeflow.activations.room import CHOICES, reserve
    from saeflow.cli import machine
    from saeflow.cli.study import open_study
    from saeflow.cost.calibrate import calibrate
    from saeflow.cost.estimate import Estimator
    from saeflow.cost.speeds import Speeds
    from saeflow.cost.summary import as_dict, summarise
    from saeflow.cost.wanted import wanted_of
    from saeflow.plan.current import Current

    study = open_study(options.configfile)
    wanted = list(study.wanted.values())
    current = Current(wanted)
    to_run = [job for job in wanted if not current(job)]
    cores = options.cores or len(os.sched_getaffinity(0))
    results, speeds = Path(paths.RESULTS), Speeds(cores)
    if not options.no_calibrate:
        asked = wanted_of(to_run, Estimator(speeds))
        if asked.forward or asked.training or asked.steps:
            _tell(f"measuring this machine's speeds ({len(asked)} things, a few seconds each) ...")
            speeds = calibrate(asked, results, cores, told=lambda text: _tell(f"  {text}"))
    summary = summarise(wanted, to_run, Estimator(speeds), cores)
    free = machine.free_bytes(results)
    needed = summary.most_bytes.value + reserve(round(summary.most_bytes.value), free)
    short = needed > free
    if options.json:
        facts = {"cores": cores, "free_bytes": free, "fits": not short, **as_dict(summary)}
        print(json.dumps(facts, indent=1))
        return 1 if short else 0
    _print(summary, free, cores, speeds.failed)
    if short:
        print(f"\nThe disk cannot hold it. {CHOICES}")
    return 1 if short else 0


def _tell(text: str) -> None:
    """Say what is being done, beside what was asked for."""
    print(text, file=sys.stderr, flush=True)


def _print(summary: Summary, free: int, cores: int, failed: list[str]) -> None:
    from saeflow.cli.words import count, size
    from saeflow.cost import summary as words

    for line in words.lines(summary):
        print(line)
    if not any(row.n_to_run for row in summary.rows):
        print("\nEverything is there: nothing has to run.")
        return
    print()
    off = f"may be {summary.seconds.times:.1f} times off"
    print(f"time     {words.duration(summary.seconds)} on {count(cores, 'core')}; {off}")
    kept = ""
    if summary.most_bytes != summary.n_bytes:
        kept = f", of which {words.size(summary.n_bytes)} stay"
    files = words.number(summary.files)
    print(
        f"disk     {words.size(summary.most_bytes)} in {files} files{kept}; {size(free)} are free"
    )
    print(f"memory   {words.memory(summary.memory)} for the largest job")
    if summary.largest:
        print("\nlargest")
        for record, n_bytes in summary.largest:
            print(f"  {size(n_bytes):>10}  {record}")
    _list("not known yet, and not counted", summary.unknown)
    _list("assumed", summary.notes)
    _list("not measured, so assumed", failed)


def _list(title: str, texts: list[str]) -> None:
    if texts:
        print(f"\n{title}")
        for text in dict.fromkeys(texts):
            print(f"  {text}")
