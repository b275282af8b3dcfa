"""Write an SAE in a form that other programs read.

SAE is a record (sae.json), its directory, or any file or directory that the workflow can import;
DEST is a directory that is made. `hub` writes SAELens' directory with a model card, ready for
`hf upload`. What a format cannot express is refused, with the reason.
"""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write an SAE for SAELens, dictionary_learning, sparsify or the hub"
_FORMATS = ("saelens", "dictionary_learning", "sparsify", "hub")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("sae", type=Path, metavar="SAE", help="what to export")
    parser.add_argument("destination", type=Path, metavar="DEST", help="an empty or new directory")
    parser.add_argument(
        "--to", "--format", choices=_FORMATS, required=True, help="who shall read it"
    )


def run(options: argparse.Namespace) -> int:
    """Write the files and name them."""
    from saeflow.cli.saes import open_sae
    from saeflow.errors import ConfigError
    from saeflow.sae.saved.exporting import export_sae, model_card

    destination = options.destination
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise ConfigError(
            "the destination is not empty",
            where=destination,
            expected="an empty directory, or a name that is not taken",
        )
    sae, record = open_sae(options.sae)
    source = options.sae if record is None else record
    export_sae(sae, source, destination, "saelens" if options.to == "hub" else options.to)
    if options.to == "hub":
        (destination / "README.md").write_text(model_card(sae, record))
    for file in sorted(destination.iterdir()):
        print(file)
    if options.to == "hub":
        print(f"To publish it: hf upload OWNER/NAME {destination}")
    return 0
