"""Score a model on the built-in world's prompt sets and held-out text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saeflow.script import run
from saeflow.work import Work


def main(
    *,
    work: Work,
    settings: dict[str, Any],
    model: Path,
    tokenizer: Path,
    dataset: Path,
    tokens: Path,
) -> None:
    """Write one row per task, beside chance and baselines."""
    from saeflow.measures.benchmarks import measure_benchmarks

    measure_benchmarks(
        work,
        model=model,
        tokenizer=tokenizer,
        dataset=dataset,
        tokens=tokens,
        settings=settings,
    )


if __name__ == "__main__":
    run(main)
