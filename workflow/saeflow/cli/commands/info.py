"""Say in a person's words what is in data.

PATH is a record (.json), the directory of data that it names, an archive, or a directory with
some below it. Of a store of activations: hook, model, dataset, tokens of each split, number
format, size, shards, share of special tokens, norms, and a row with its text where the tokenizer
is among the results. Of an unfinished store: how much is committed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "say what is in a store, finished or not"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("paths", metavar="PATH", type=Path, nargs="+", help="what to describe")


def run(options: argparse.Namespace) -> int:
    """Describe everything that the paths mean."""
    from saeflow.cli.bulk import find_bulk
    from saeflow.cli.described import describe, heading

    found = dict.fromkeys(bulk for path in options.paths for bulk in find_bulk(path))
    for n, bulk in enumerate(found):
        print(f"{'' if n == 0 else chr(10)}{heading(bulk)}")
        for name, text in describe(bulk):
            print(f"  {name:<13} {text}")
    return 0
