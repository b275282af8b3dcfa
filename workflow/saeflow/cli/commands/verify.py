"""Read data again and compare every file with the hash taken when it was written.

PATH is a record (.json), the directory of data that it names, an archive, or a directory with
many below it, such as results/activations. Missing and cut files are noticed by every run of the
workflow; altered content only here. Of unfinished stores the committed shards are read. Ends
with 1 where something is damaged.

With --discard the damaged files are removed, and the next run of the workflow redoes what was
lost and nothing else: of a store of activations only the damaged shards.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saeflow.inventory import Damage

HELP = "compare data with the hashes taken when they were written"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("paths", metavar="PATH", type=Path, nargs="+", help="what to read")
    parser.add_argument(
        "--discard", action="store_true", help="remove damaged files, so that they are made anew"
    )


def run(options: argparse.Namespace) -> int:
    """Verify everything that the paths mean; print a line for each."""
    from saeflow.cli.bulk import UNFINISHED, damages, find_bulk, n_bytes, state
    from saeflow.cli.words import size
    from saeflow.logs import Progress

    found = list(dict.fromkeys(b for path in options.paths for b in find_bulk(path)))
    sizes = {bulk: n_bytes(bulk) for bulk in found}
    damaged: dict[Path, list[Damage]] = {}
    with Progress(sum(sizes.values()), desc="verify", unit="B") as progress:
        for bulk in found:
            wrong = [] if _is_removed(bulk) else list(damages(bulk, progress.update))
            if wrong:
                damaged[bulk] = wrong
            word = "unfinished" if state(bulk) == UNFINISHED else "whole"
            word = "damaged" if wrong else "removed" if _is_removed(bulk) else word
            print(f"{word:<10} {size(sizes[bulk]):>10}  {bulk}")
            for damage in wrong:
                print(f"{'':<10}   {damage.path}: {damage.what}")
    return _conclude(damaged, sum(sizes.values()), options.discard)


def _is_removed(bulk: Path) -> bool:
    from saeflow.cli.bulk import REMOVED, state

    return state(bulk) == REMOVED


def _conclude(damaged: dict[Path, list[Damage]], total: int, discarding: bool) -> int:
    """Say what was found and what to do, remove what is damaged if asked to."""
    from saeflow.cli.bulk import discard, record_of
    from saeflow.cli.words import count, size

    if not damaged:
        print(f"All of it is as it was written ({size(total)}).")
        return 0
    n = sum(len(wrong) for wrong in damaged.values())
    print(f"{count(n, 'damaged file')}.")
    if not discarding:
        if any(record_of(bulk) for bulk in damaged):
            print("Run this again with --discard, then snakemake: it redoes what is damaged only.")
        if not all(record_of(bulk) for bulk in damaged):
            print("An archive is not redone: delete it and archive the store again.")
        return 1
    left = [
        bulk for bulk, wrong in damaged.items() if not record_of(bulk) or not discard(bulk, wrong)
    ]
    for bulk in left:
        why = "in use by another process" if record_of(bulk) else "an archive, which nothing redoes"
        print(f"{bulk} was left alone: it is {why}.")
    if len(left) < len(damaged):
        print("Removed; snakemake now redoes what was lost and nothing else.")
    return 1 if left else 0
