"""Make a table of the study `suppression`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.files import write_json
from saeflow.script import run


def main(
    *,
    settings: dict[str, Any],
    records: dict[str, list[Path]],
    output: Path,
    files: list[Path],
    identity: str,
) -> None:
    """Read the records of the study's rows and write one CSV file."""
    from saeflow.tables.making import make_table

    (csv,) = files
    made = make_table("suppression", settings["table"], records, csv, settings)
    write_json(output, {**made, "identity": identity})


if __name__ == "__main__":
    run(main)
