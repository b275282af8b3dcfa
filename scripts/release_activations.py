"""Remove the rows of a temporary store after its last reader."""

from __future__ import annotations

from pathlib import Path

from saeflow.script import run


def main(*, output: Path, identity: str, activations: Path) -> None:
    """Remove the rows of ``activations``, whose readers are all done."""
    from saeflow.activations.release import release
    from saeflow.files import write_json

    write_json(output, {"identity": identity, "released": release(activations)})


if __name__ == "__main__":
    run(main)
