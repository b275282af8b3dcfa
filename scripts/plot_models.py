"""Draw a figure of the study `models`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.files import write_json
from saeflow.script import run


def main(*, settings: dict[str, Any], table: Path, output: Path, identity: str) -> None:
    """Draw the figure from the CSV file of its table, as PDF and PNG."""
    from saeflow.figures.making import make_figure

    made = make_figure(
        "models", settings["figure"], table.with_suffix(".csv"), output.with_suffix("")
    )
    write_json(output, {**made, "identity": identity})


if __name__ == "__main__":
    run(main)
