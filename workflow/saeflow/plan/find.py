"""From a path to the result that a configuration defines there, wanted or not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from saeflow import paths
from saeflow.errors import ConfigError
from saeflow.metrics.registry import MEASURES
from saeflow.plan.plan import Plan
from saeflow.plan.result import Result


def find_defined(plan: Plan, record: Path) -> Result | None:
    """Return the result with a record, up to the measurements; None where nothing is defined."""
    finders: dict[str, Callable[..., Result]] = {
        paths.MODEL: plan.model,
        paths.TOKENIZER: plan.tokenizer,
        paths.DATASET: plan.dataset,
        paths.PROMPTS: plan.prompts,
        paths.LABELLED: plan.labelled,
        paths.TOKENS: plan.tokens,
        paths.ACTIVATIONS: plan.activations,
        paths.SAE: plan.sae,
    }
    if record.stem in MEASURES:
        finders[paths.MEASUREMENTS[MEASURES[record.stem].of]] = plan.measurement
    for pattern, find in finders.items():
        if wildcards := match(pattern, record):
            try:
                return find(**wildcards)
            except ConfigError:
                return None
    return None


def match(pattern: str, path: Path) -> dict[str, str] | None:
    """Return the wildcards of a path that a pattern of `saeflow.paths` fits, or None."""
    parts = re.split(r"\{(\w+)\}", pattern)
    regex = "".join(
        f"(?P<{part}>{paths.WILDCARDS[part]})" if index % 2 else re.escape(part)
        for index, part in enumerate(parts)
    )
    found = re.fullmatch(regex, path.as_posix())
    return found and {name: found[name] for name in parts[1::2]}
