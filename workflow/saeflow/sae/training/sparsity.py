"""A warning for who trains or imports an SAE that is not sparse, or hardly ever active."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from saeflow import registry
from saeflow.metrics.reconstruction import DENSE_SHARE, SILENT_L0
from saeflow.sae.model import ARCHITECTURES
from saeflow.task import Task

logger = logging.getLogger(__name__)


def warn_if_not_sparse(task: Task, header: Mapping[str, Any]) -> None:
    """Warn of an SAE whose L0 at the end of its training, or where saved, is out of bounds."""
    training = header.get("training", {})
    l0 = training.get("final", {}).get("l0", (header.get("evidence") or {}).get("l0"))
    as_meant = "baseline" in header or training.get("tokens") == 0 or "method" in header
    if l0 is None or as_meant:
        return
    recipe, d_sae = registry.load(ARCHITECTURES, header["architecture"]).Recipe, header["d_sae"]
    key = getattr(recipe, "COEFFICIENT", "k")
    more, fewer, wish = f"lower {key}", f"raise {key}", ", or set target_l0 in its place"
    if key == "k":
        more, fewer, wish = fewer, more, ""
    name = "/".join(task.output.parts[-4:-1])
    if l0 > DENSE_SHARE * d_sae:
        logger.warning(
            "%s: %.4g of %d latents are active on a token, more than a quarter: not sparse; %s%s",
            name, l0, d_sae, fewer, wish,
        )  # fmt: skip
    elif l0 < SILENT_L0:
        logger.warning(
            "%s: %.2g latents are active on a token, fewer than one: it hardly reads anything;"
            " %s%s",
            name, l0, more, wish,
        )  # fmt: skip
