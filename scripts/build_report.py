"""Build the report from every study's figures and tables."""

from __future__ import annotations

from pathlib import Path

from saeflow.files import write_atomic, write_json
from saeflow.script import run


def main(
    *,
    figures: list[Path],
    tables: list[Path],
    output: Path,
    files: list[Path],
    identity: str,
) -> None:
    """Write one self-contained page."""
    from saeflow.report.build import build_report

    (page,) = files
    write_atomic(page, build_report(figures, tables).encode())
    write_json(output, {"identity": identity})


if __name__ == "__main__":
    run(main)
