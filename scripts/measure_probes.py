"""Have probes read what an SAE reconstructs, and every other wanted SAE of its hook."""

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
    fitted: Path | None = None,
    fitted_target: Path | None = None,
) -> None:
    """Measure the SAEs of all ``tasks`` on the test split of ``activations``."""
    from saeflow.measures.probes import measure_probes

    measure_probes(
        [(task.work, task.inputs["sae"]) for task in tasks],
        activations,
        settings,
        target=target,
        fitted=fitted,
        fitted_target=fitted_target,
    )


if __name__ == "__main__":
    run(main)
