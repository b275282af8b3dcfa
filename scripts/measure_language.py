"""Measure the language model with an SAE in place, and with every other wanted SAE of its hook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import Task, run


def main(
    *,
    tasks: list[Task],
    model: Path,
    tokens: Path,
    activations: Path,
    settings: dict[str, Any],
    target: Path | None = None,
) -> None:
    """Measure the SAEs of all ``tasks`` on the test split of ``tokens``."""
    from saeflow.measures.language import measure_language

    measure_language(
        [(task.work, task.inputs["sae"]) for task in tasks],
        model=model,
        tokens=tokens,
        activations=activations,
        settings=settings,
        exchanged=target,
    )


if __name__ == "__main__":
    run(main)
