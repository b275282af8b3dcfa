"""The tables about fine-tuning itself: what it keeps, and whether gradient steps converged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.tables.builders import EXTENT, KEY, columns, stack
from saeflow.tables.latents import activity, is_live
from saeflow.tables.pairs import compare, pairs
from saeflow.tables.runs import ORIGINAL, Run

EXACT = "exact"
"""The solver of closed forms."""

_OF_KEPT = ("same_counts", "same_documents", "l0_before", "l0_after", "n_latents")
_OF_CLOSED_FORM = (
    *("steps", "fit", "ridge", "n_validation_documents", "excess", "excess_low", "excess_high"),
    *("row_difference", "n_live"),
)  # fmt: skip


def kept(runs: Sequence[Run], *, metrics: Sequence[str]) -> pd.DataFrame:
    """Return one row per fine-tuned SAE: what it keeps of its parent.

    ``same_counts`` is the share of latents that are active on as many tokens as before,
    ``same_documents`` the share of documents with as many active latents. Both are 1 where the
    encoder is frozen: the active sets are the same ones. The metric is L0.
    """
    (l0,) = metrics
    rows = []
    for parent, tuned in pairs(runs):
        documents = (run.documents("reconstruction")["active"] for run in (parent, tuned))
        before, after = (run.latents()["fired"] for run in (parent, tuned))
        rows.append(
            {
                **tuned.key.columns(),
                "same_counts": _share_of_equal(before, after),
                "same_documents": _share_of_equal(*documents),
                "l0_before": parent.estimates(metrics)[l0].value,
                "l0_after": tuned.estimates(metrics)[l0].value,
                "n_latents": len(before),
                **tuned.extent(),
            }
        )
    return pd.DataFrame(rows, columns=[*KEY, *_OF_KEPT, *EXTENT])


def _share_of_equal(before: pd.Series, after: pd.Series) -> float:
    return float(np.mean(before.to_numpy() == after.to_numpy()))


def closed_form(runs: Sequence[Run], *, bootstrap: int, seed: int) -> pd.DataFrame:
    """Return one row per closed form and SAE that gradient steps fitted in the same weights.

    ``excess`` is mse_steps / mse_exact - 1 on the evaluated documents, in pairs; below zero where
    the steps generalise better. ``row_difference`` is the median over the parent's live latents
    of |w_steps - w_exact| / |w_exact|, w a decoder row. ``n_validation_documents`` are those that
    the ridge was chosen on; none where it was given.
    """
    rows = []
    for parent, exact, steps in _families(runs):
        excess = compare(exact, steps, "reconstruction", _excess, bootstrap=bootstrap, seed=seed)
        active = activity(parent.latents(), parent.extent()["n_tokens"])
        live = is_live(active["log10_frequency"].to_numpy())
        rows.append(
            {
                **exact.key.columns(),
                "steps": steps.key.method,
                "fit": exact.sae["settings"]["method"],
                "ridge": exact.sae["training"]["ridge"],
                "n_validation_documents": exact.sae["training"]["n_validation_documents"],
                **columns({"excess": excess}),
                "row_difference": _row_difference(steps.decoder()[live], exact.decoder()[live]),
                "n_live": int(live.sum()),
                **exact.extent(),
            }
        )
    return pd.DataFrame(rows, columns=[*KEY, *_OF_CLOSED_FORM, *EXTENT])


def _families(runs: Sequence[Run]) -> Iterator[tuple[Run, Run, Run]]:
    """Yield parent, closed form and each SAE that steps fitted in the same weights."""
    tuned = list(pairs(runs))
    for parent, exact in tuned:
        if exact.sae["settings"]["solver"] != EXACT:
            continue
        for other, steps in tuned:
            settings = steps.sae["settings"]
            same = other is parent and settings["method"] == exact.sae["settings"]["method"]
            if same and settings["solver"] != EXACT:
                yield parent, exact, steps


def _excess(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    return sums["tuned_squared_error"] / sums["parent_squared_error"] - 1


def _row_difference(steps: np.ndarray, exact: np.ndarray) -> float:
    if not len(exact):
        return float("nan")
    distance = np.linalg.norm(steps - exact, axis=1) / np.linalg.norm(exact, axis=1)
    return float(np.median(distance))


def tuning_curves(runs: Sequence[Run]) -> pd.DataFrame:
    """Return the logged mean squared errors of each fine-tuned SAE.

    One row per row of its log with ``solver`` "steps": ``mse`` is the mean over the batches since
    the row before, ``tokens`` those it was fitted to so far; "kl_mse" likewise. One row with
    "exact" for a closed form: its error on the tokens that it was fitted to.
    """
    parts = []
    for run in runs:
        if run.key.method == ORIGINAL:
            continue
        settings, training = run.sae["settings"], run.sae["training"]
        if settings["solver"] == EXACT:
            ends = {"tokens": [training["tokens"]], "mse": [training["final"]["mse"]]}
            part = pd.DataFrame(ends)
        else:
            part = run.log()[["tokens", "mse"]]
        which = {"fit": settings["method"], "solver": settings["solver"]}
        parts.append(part.assign(**run.key.columns(), **which))
    return stack(parts, [*KEY, "fit", "solver", "tokens", "mse"])
