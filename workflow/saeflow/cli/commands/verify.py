"""Read results again and compare every file with the hash taken when it was written.

PATH is a record (.json), a file of a table or a figure, the directory of data that a record names,
an archive, or a directory with many below it; results by default. A run of the workflow notices
files that are missing, cut, or changed after they were recorded; only this reads everything. Of
unfinished stores the committed shards are read. What is damaged is printed, with --verbose all that
was read. Ends with 1 where something is damaged.

With --discard the damaged files are removed, and the next run of the workflow redoes what was
lost and nothing else: of a store of activations only the damaged shards.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from saeflow import paths

if TYPE_CHECKING:
    from saeflow.inventory import Damage

HELP = "compare results with the hashes taken when they were written"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        type=Path,
        nargs="*",
        default=[Path(paths.RESULTS)],
        help="what to read",
    )
    parser.add_argument(
        "--discard", action="store_true", help="remove damaged files, so that they are made anew"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="print every result, not only what is damaged"
    )


def run(options: argparse.Namespace) -> int:
    """Verify everything that the paths mean; print what is damaged, and how much is not."""
    from saeflow.cli.damages import DAMAGED, damages, find_results, size_of, word_for
    from saeflow.cli.words import size
    from saeflow.logs import Progress

    found = list(dict.fromkeys(one for path in options.paths for one in find_results(path)))
    sizes = {result: size_of(result) for result in found}
    damaged: dict[Path, list[Damage]] = {}
    states: Counter[str] = Counter()
    with Progress(sum(sizes.values()), desc="verify", unit="B") as progress:
        for result in found:
            wrong = list(damages(result, progress.update))
            word = DAMAGED if wrong else word_for(result)
            states[word] += 1
            if wrong:
                damaged[result] = wrong
            if wrong or (word and options.verbose):
                print(f"{word:<10} {size(sizes[result]):>10}  {result}")
            for damage in wrong:
                print(f"{'':<10}   {damage.path}: {damage.what}")
    return _conclude(damaged, states, sum(sizes.values()), options.discard)


def _conclude(
    damaged: dict[Path, list[Damage]], states: Counter[str], total: int, discarding: bool
) -> int:
    """Say what was found and what to do, remove what is damaged if asked to."""
    from saeflow.cli.bulk import REMOVED, UNFINISHED
    from saeflow.cli.damages import WHOLE, discard, is_made_anew
    from saeflow.cli.words import count, size

    others = [f"{states[word]} {word}" for word in (UNFINISHED, REMOVED) if states[word]]
    counts = ", ".join([f"{count(states[WHOLE], 'result')} whole", *others])
    if not damaged:
        print(f"All of it is as it was written: {counts} ({size(total)}).")
        return 0
    n = sum(len(wrong) for wrong in damaged.values())
    print(f"{count(n, 'damaged file')}; {counts} ({size(total)}).")
    if not discarding:
        if any(map(is_made_anew, damaged)):
            print("Run this again with --discard, then snakemake: it redoes what is damaged only.")
        if not all(map(is_made_anew, damaged)):
            print("An archive is not redone: delete it and archive the store again.")
        return 1
    left = [
        result
        for result, wrong in damaged.items()
        if not is_made_anew(result) or not discard(result, wrong)
    ]
    for result in left:
        why = "in use by another process" if is_made_anew(result) else "an archive, never redone"
        print(f"{result} was left alone: it is {why}.")
    if len(left) < len(damaged):
        print("Removed; snakemake now redoes what was lost and nothing else.")
    return 1 if left else 0
