"""What fine-tuning did to each latent, against how often and how strongly it was active before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from saeflow.tables.columns import runs_columns
from saeflow.tables.latents import activity, is_live
from saeflow.tables.pairs import measured_and_trained, pairs
from saeflow.tables.runs import Run
from saeflow.theory.suppression import shrinkage

READS = ("reconstruction", "sae")
COLUMNS = (
    "fit", "solver", "latent", "log10_frequency", "strength", "live", "scaling", "increase",
    "rotation", "predicted", "n_tokens", "n_documents",
)  # fmt: skip


def build(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row per latent of each fine-tuned SAE that ever fired in its parent.

    ``scaling`` is the norm of the latent's decoder row after over before, ``increase`` what that
    adds to its mean activation (strength), ``rotation`` the cosine between the rows. Frequency
    and strength are the parent's. ``fit`` is what was trainable, ``solver`` how it was found.
    ``predicted`` is c d / 2, what the L1 penalty is predicted to have taken from every latent;
    NaN without such a penalty.
    """
    measured, trained = measured_and_trained(runs)
    parts = []
    for parent, tuned in pairs(measured):
        found = activity(parent.read_latents(), parent.extent()["n_tokens"])
        before, after = (trained[run.key.training].read_decoder() for run in (parent, tuned))
        settings = trained[tuned.key.training].records["sae"]["settings"]
        scaling, rotation = change_of_rows(before, after)
        found = found.assign(
            **tuned.key.columns(),
            **tuned.extent(),
            fit=settings["method"],
            solver=settings["solver"],
            predicted=predicted_shift(trained[parent.key.training].records["sae"]),
            live=is_live(found["log10_frequency"].to_numpy()),
            scaling=scaling,
            rotation=rotation,
            increase=(scaling - 1) * found["strength"],
        )
        parts.append(found[np.isfinite(found["log10_frequency"])])
    columns = [*runs_columns(), *COLUMNS]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True)[columns]


def predicted_shift(record: Mapping[str, Any]) -> float:
    """Return c d / 2 of an SAE from its record; NaN for one without an L1 penalty."""
    l1 = record["settings"].get("l1")
    return float("nan") if l1 is None else float(shrinkage(l1, record["d_in"]))


def change_of_rows(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return |after| / |before| and cos(before, after) of each row, both (d_sae,).

    A row of length zero, before or after, has neither: NaN.
    """
    norms = np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.einsum("ij,ij->i", before, after) / (norms[0] * norms[1])
        scaling = np.where(norms[0] > 0, norms[1] / norms[0], np.nan)
    return scaling, np.clip(cosine, -1, 1)
