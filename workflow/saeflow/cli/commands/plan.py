"""Print what a configuration will cost before any of it runs: disk, files, time and memory.

Per kind of pass: passes, results to make of those that are wanted, rows or tokens, and what these
will take on this machine. Times are those that passes took before; where none is recorded they
follow from operations and from how fast this machine multiplies matrices, which takes a few seconds
to find out (--no-calibrate assumes it instead). "~" marks an estimate, "×2.0" how many times off a
time may be; sizes of stores whose tokens are known are exact. Ends with 1 where the disk cannot
hold it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saeflow.cost.guess import Guess
    from saeflow.cost.summary import Row, Summary

HELP = "print disk, files, time and memory of the configuration before it runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from saeflow.cli.study import add_configfile

    add_configfile(parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--no-calibrate", action="store_true", help="assume this machine's speed, measure nothing"
    )
    parser.add_argument("--cores", type=int, help="cores of the run; all of this machine's here")


def run(options: argparse.Namespace) -> int:
    """Print the plan's costs."""
    import os

    from saeflow import paths
    from saeflow.activations.room import CHOICES, reserve
    from saeflow.cli import machine
    from saeflow.cli.study import open_study
    from saeflow.cost.speeds import Speeds
    from saeflow.cost.summary import summarise

    cores = options.cores or len(os.sched_getaffinity(0))
    speeds = Speeds(cores, None if options.no_calibrate else _measure)
    summary = summarise(open_study(options.configfile).outputs, speeds)
    free = machine.free_bytes(Path(paths.RESULTS))
    needed = summary.work.n_bytes.value + reserve(round(summary.work.n_bytes.value), free)
    short = needed > free
    if options.json:
        facts = {"cores": cores, "free_bytes": free, "fits": not short, **_plain(summary)}
        print(json.dumps(facts, indent=1))
        return 1 if short else 0
    _print(summary, free, cores)
    if short:
        print(f"\nThe disk cannot hold it. {CHOICES}")
    return 1 if short else 0


def _measure() -> float:
    from saeflow.cost import speeds

    print("measuring how fast this machine computes ...", file=sys.stderr, flush=True)
    return speeds.measure()


def _plain(value: Any) -> Any:
    """Return named tuples as what JSON has: {"value": 3.2, "times": 1.5} for an estimate."""
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _print(summary: Summary, free: int, cores: int) -> None:
    from saeflow.cli.words import count, size

    for line in _table(summary):
        print(line)
    if not any(row.passes for row in summary.rows):
        print("\nEverything is there: nothing has to run.")
        return
    print()
    off = f"may be {summary.seconds.times:.1f} times off"
    print(f"time     {_duration(summary.seconds)} on {count(cores, 'core')}; {off}")
    written, files = summary.work.n_bytes, _number(summary.work.files)
    kept = "" if written == summary.kept_bytes else f", of which {_size(summary.kept_bytes)} stay"
    print(f"disk     {_size(written)} in {files} files{kept}; {size(free)} are free")
    if peak := max(row.memory_bytes or 0 for row in summary.rows):
        print(f"memory   {_memory(peak)} for the largest job")
    print("\nlargest")
    for record, n_bytes in summary.largest:
        print(f"  {size(n_bytes):>10}  {record}")
    _list("not known yet, and not counted", summary.unknown)
    _list("assumed", summary.notes)


def _list(title: str, texts: list[str]) -> None:
    if texts:
        print(f"\n{title}")
        for text in dict.fromkeys(texts):
            print(f"  {text}")


def _table(summary: Summary) -> Iterator[str]:
    """Yield the table of kinds, aligned."""
    head = ("", "passes", "results", "rows", "disk", "files", "time", "off", "memory")
    table = [head, *map(_cells, summary.rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(head))]
    for cells in table:
        padded = [cells[0].ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        yield "  ".join(padded).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    first = (row.kind, str(row.passes or "-"), f"{row.missing} of {row.wanted}")
    if not row.passes:
        return (*first, *[""] * 6)
    memory, work = _memory(row.memory_bytes) if row.memory_bytes else "", row.work
    if work.unknown:
        return (*first, *"?????", memory)
    rows = _number(work.rows) if work.rows.value else ""
    time = _duration(row.seconds), f"×{row.seconds.times:.1f}"
    return (*first, rows, _size(work.n_bytes), _number(work.files), *time, memory)


def _number(guess: Guess) -> str:
    """Return a count in a person's digits: "1.10 M"."""
    value = guess.value
    for unit, factor, from_value in (("G", 1e9, 1e9), ("M", 1e6, 1e6), ("k", 1e3, 1e4)):
        if value >= from_value:
            return _about(f"{value / factor:.3g} {unit}", guess)
    return _about(f"{value:,.0f}", guess)


def _size(guess: Guess) -> str:
    from saeflow.cli.words import size

    return _about(size(guess.value), guess)


def _memory(n_bytes: float) -> str:
    return f"~{n_bytes / 2**30:.1f} GiB"


def _duration(guess: Guess) -> str:
    """Return a time in seconds, minutes, hours or days."""
    seconds = guess.value
    for unit, length, until in (("s", 1, 90), ("min", 60, 5400), ("h", 3600, 48 * 3600)):
        if seconds < until:
            return _about(f"{seconds / length:.{int(length > 1)}f} {unit}", guess)
    return _about(f"{seconds / 86400:.1f} d", guess)


def _about(text: str, guess: Guess) -> str:
    return text if guess.exact else f"~{text}"
