"""Bring an SAE of others, local or from the hub, into our form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import run
from saeflow.work import Work


def main(*, work: Work, settings: dict[str, Any], model: Path, path: str | None = None) -> None:
    """Write our directory of the SAE; ``path`` is where a local one lies."""
    from saeflow.sae.saved.importing import import_sae

    import_sae(work, settings, model, path=path and Path(path))


if __name__ == "__main__":
    run(main, network=True)
