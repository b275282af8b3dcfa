"""How long Snakemake takes to find that there is nothing to do, and how many jobs there are."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import REPEATS, Figure, seconds

ROOT = Path(__file__).parents[1]


def figures() -> Iterator[Figure]:
    """Yield the time of a dry run of the default study in this checkout."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "all"]
    times = [
        seconds(lambda: subprocess.run(command, cwd=ROOT, check=True, capture_output=True))
        for _ in range(REPEATS)
    ]
    yield Figure("planning the default study", statistics.median(times), 10.0, False, "s")
