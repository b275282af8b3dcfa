"""Train the toys of the theory of suppression."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.files import write_json
from saeflow.script import run


def main(*, settings: dict[str, Any], output: Path, files: list[Path], identity: str) -> None:
    """Write prediction and simulation of every toy as CSV."""
    from saeflow.theory.simulation import make_simulation

    (csv,) = files
    made = make_simulation(settings, csv)
    write_json(output, {**made, "identity": identity})


if __name__ == "__main__":
    run(main)
