"""Store a part of the shards of every wanted hook; harvest_activations completes the stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import run


def main(
    *,
    output: Path,
    identity: str,
    settings: dict[str, Any],
    together: list[dict[str, Any]],
    model: Path,
    tokens: Path,
) -> None:
    """Harvest one part of the stores that are not complete (``together``)."""
    from saeflow.activations.parts import harvest_part

    harvest_part(output, identity, settings, together, model_record=model, tokens_record=tokens)


if __name__ == "__main__":
    run(main)
