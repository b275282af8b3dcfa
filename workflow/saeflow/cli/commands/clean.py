"""List what lies under results/ and belongs to nothing that the configuration wants.

Finished and unfinished data of other settings, hooks or code; plans, receipts, logs and
descriptions of what is gone; temporary files of processes that were killed. "Latest data" are
stale, yet the last that were made there. Nothing is removed without --yes, and never what a
running process works on.
Where several configurations share results/, name them all; tables, figures and reports are kept.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saeflow.cli.garbage import Garbage

HELP = "list, and with --yes remove, data that no identity of the configuration wants"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from saeflow.cli.study import add_configfile

    add_configfile(parser, several=True)
    parser.add_argument("--yes", action="store_true", help="remove what is listed")


def run(options: argparse.Namespace) -> int:
    """List the garbage, and remove it if asked to."""
    from saeflow.cli.garbage import find_garbage, is_busy, remove
    from saeflow.cli.study import open_study
    from saeflow.cli.words import count, size

    files = options.configfile
    studies = [open_study(file) for file in files]
    wanted = [result for study in studies for result in study.outputs.wanted]
    found = find_garbage(wanted)
    busy = {piece.path for piece in found if is_busy(piece)}
    free = [piece for piece in found if piece.path not in busy]
    _list(found, busy)
    if forgotten := _others({study.config["name"] for study in studies}):
        print(
            f"There are results of other configurations: {', '.join(forgotten)}. Name their files"
            " too, or what only they want is listed here."
        )
    total = size(sum(piece.n_bytes for piece in free))
    names = ", ".join(str(file) for file in files)
    if not free:
        print(f"Nothing to remove: {names} wants everything else that is here.")
    elif not options.yes:
        print(f"{total} in all that {names} does not want. `--yes` removes it.")
    else:
        removed = [piece for piece in free if remove(piece)]
        freed = size(sum(piece.n_bytes for piece in removed))
        print(f"Removed {count(len(removed), 'thing')}, {freed}.")
    return 0


def _others(named: set[str]) -> list[str]:
    """Return the names of configurations that have outputs here and were not named."""
    from saeflow import paths

    directory = paths.fill(paths.OF_CONFIGURATION, configuration="*")
    return sorted({path.name for path in directory.parent.glob(directory.name)} - named)


def _list(found: list[Garbage], busy: set) -> None:
    """Print bulk one by one, small files by kind."""
    from saeflow.cli.words import count, size

    for piece in found:
        if piece.record is not None:
            note = " (in use: left alone)" if piece.path in busy else ""
            print(f"{size(piece.n_bytes):>10}  {piece.kind:<15}  {piece.path}{note}")
    small = [piece for piece in found if piece.record is None]
    for kind, n in sorted(Counter(piece.kind for piece in small).items()):
        n_bytes = sum(piece.n_bytes for piece in small if piece.kind == kind)
        print(f"{size(n_bytes):>10}  {count(n, kind)}")
