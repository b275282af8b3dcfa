"""Measure what an SAE reconstructs, and every other wanted SAE of its hook, in one pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import Task, run


def main(
    *,
    tasks: list[Task],
    activations: Path,
    settings: dict[str, Any],
    target: Path | None = None,
) -> None:
    """Measure the SAEs of all ``tasks`` on the test split of ``activations``."""
    from saeflow.measures.reconstruction import measure_reconstruction

    wanted = [(task.work, task.inputs["sae"]) for task in tasks]
    measure_reconstruction(wanted, activations, settings, target=target)


if __name__ == "__main__":
    run(main)
