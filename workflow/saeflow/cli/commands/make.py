"""Make results, and everything that they are made from, and nothing else.

PATH is a record, a table, a figure, the directory of an SAE, or its data: whatever `saeflow why`
understands. What is there already is not made again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HELP = "make single results with what they need"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from saeflow.cli.study import add_configfile

    parser.add_argument("paths", metavar="PATH", type=Path, nargs="+", help="what to make")
    parser.add_argument("--cores", default="all", help="cores to use; all by default")
    add_configfile(parser)


def run(options: argparse.Namespace) -> int:
    """Have Snakemake make the results, and return its exit code."""
    from saeflow.cli.study import find_result, inside, open_study
    from saeflow.plan.jobs import MAKE
    from saeflow.plan.result import SOURCE_ROOT

    study = open_study(options.configfile)
    records = [str(find_result(study, inside(path)).output) for path in options.paths]
    command = [
        *(sys.executable, "-m", "snakemake", "--cores", str(options.cores)),
        *("--snakefile", str(SOURCE_ROOT.parent / "Snakefile")),
        *("--configfile", str(options.configfile)),
    ]
    return subprocess.run(command, env={**os.environ, MAKE: "\n".join(records)}).returncode
