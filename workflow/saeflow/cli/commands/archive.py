"""Make a smaller copy of a store of activations, or a store from such a copy.

STORE is a store's record ({hook}.json) or directory, DESTINATION the directory to make. zstd and
blosc lose nothing (fp16 shrinks by less than a tenth, bf16 by about a quarter); int8 is half of
16 bits and keeps the values to a small error, which is printed. An archive stands alone: it holds
the row table and the statistics, any Zarr reader opens it, and `saeflow.open_store` reads it like
the store, slowly.

With --restore, STORE is an archive made with zstd or blosc, and DESTINATION the directory to put
the store and its record into; the bytes are those of the original, and its hashes prove it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "copy a store of activations in less space, and back"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("store", metavar="STORE", type=Path, help="what to copy")
    parser.add_argument("destination", metavar="DESTINATION", type=Path, help="what to make")
    parser.add_argument(
        "--codec", choices=("zstd", "blosc", "int8"), default="zstd", help="zstd by default"
    )
    parser.add_argument("--restore", action="store_true", help="make the store from its archive")


def run(options: argparse.Namespace) -> int:
    """Archive or restore, and print the sizes."""
    from saeflow.activations.archive import archive, restore
    from saeflow.activations.reader import open_store
    from saeflow.cli.bulk import n_bytes
    from saeflow.cli.words import size
    from saeflow.logs import Progress

    with (
        open_store(options.store) as store,
        Progress(
            store.n_rows, desc="restore" if options.restore else "archive", unit="rows"
        ) as progress,
    ):
        if options.restore:
            record = restore(options.store, options.destination, progress.update)
        else:
            facts = archive(store, options.destination, options.codec, progress.update)
        before = n_bytes(store.path) + (0 if options.restore else n_bytes(store.rows.path))
    if options.restore:
        print(f"{record}: restored, byte for byte what was archived.")
        return 0
    after = n_bytes(options.destination)
    print(f"{options.destination}: {size(after)}, where the store has {size(before)}.")
    if "nmse" in facts["archive"]:
        print(f"Error of the values: {facts['archive']['nmse']:.1e} of their variance.")
    return 0
