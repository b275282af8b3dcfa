"""Tables of controls: SAEs as smaller models, and on models whose weights mean nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from saeflow.metrics.intervals import form
from saeflow.metrics.language import ce_loss, ce_loss_sae
from saeflow.metrics.metric import Sums
from saeflow.tables.builders import EXTENT, KEY, columns, metrics_table, with_ends
from saeflow.tables.runs import Run

TRAINED = "trained"
_LOSSES = ("ce_loss", "ce_loss_sae")
_OF_SIZE = ("clean_parameters", "equivalent_parameters", "equivalent_share")


def smaller_models(
    runs: Sequence[Run],
    *,
    scaling: Sequence[Mapping[str, float]],
    bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return of each SAE how large a model is that has the loss of the model with the SAE.

    Parameters
    ----------
    scaling
        ``parameters`` and ``loss`` (nats per token) of models, from the smallest on.

    Returns
    -------
    DataFrame
        The SAE; the losses without and with it; by the scaling table the sizes that have these,
        ``clean_parameters`` and ``equivalent_parameters``; the second as a share of the first; and
        ``beyond``, what is known of a loss that no two models of the table enclose, for which there
        is no size.
    """
    size = size_of(scaling)
    formulas: dict[str, Callable[[Sums], np.ndarray]] = {
        "ce_loss": ce_loss,
        "ce_loss_sae": ce_loss_sae,
        "clean_parameters": lambda sums: size(ce_loss(sums)),
        "equivalent_parameters": lambda sums: size(ce_loss_sae(sums)),
        "equivalent_share": lambda sums: size(ce_loss_sae(sums)) / size(ce_loss(sums)),
    }
    rows = []
    for run in runs:
        totals, drawn = run.records["language"].sums(bootstrap, seed)
        found = {name: form(formula, totals, drawn) for name, formula in formulas.items()}
        beyond = _beyond(scaling, **{name: formulas[name](totals) for name in _LOSSES})
        rows.append({**run.key.columns(), **run.extent(), **columns(found), "beyond": beyond})
    return pd.DataFrame(rows, columns=[*KEY, *EXTENT, *with_ends(formulas), "beyond"])


def size_of(scaling: Sequence[Mapping[str, float]]) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from losses to sizes: NaN beyond the table.

    Notes
    -----
    Between two models, ln N is linear in ln L: a power law L = (N_c / N)^a for each pair, as that
    of Kaplan et al. 2020 ("Scaling laws for neural language models", equation 1.1) is for all. To
    say by it what replaced activations cost follows Gao et al. 2024 ("Scaling and evaluating
    sparse autoencoders", section 4.1), who state pretraining compute in the place of size.
    """
    falling = np.log([[one["loss"], one["parameters"]] for one in scaling])
    log_loss, log_size = falling[::-1].T

    def size(loss: np.ndarray) -> np.ndarray:
        found = np.interp(np.log(loss), log_loss, log_size, left=np.nan, right=np.nan)
        return np.exp(found)

    return size


def _beyond(scaling: Sequence[Mapping[str, float]], ce_loss: float, ce_loss_sae: float) -> str:
    """Return what is known of losses beyond the table, in words; "" where there are none."""
    smallest, largest = scaling[0], scaling[-1]
    found = []
    for name, loss in (("the model", ce_loss), ("the model with the SAE", ce_loss_sae)):
        if loss > smallest["loss"]:
            found.append(f"{name} does worse than {smallest['parameters']:,.0f} parameters")
        elif loss < largest["loss"]:
            found.append(f"{name} does better than {largest['parameters']:,.0f} parameters")
    return "; ".join(found)


def on_shuffled(
    runs: Sequence[Run],
    *,
    metrics: Sequence[str],
    shuffled: Mapping[str, str],
    bootstrap: int = 0,
    seed: int = 0,
) -> pd.DataFrame:
    """Return metrics of SAEs on models and on the same models with their weights shuffled.

    The table of `saeflow.tables.builders.metrics_table`, with ``weights`` (`TRAINED`, or the name
    of the shuffled model) and ``of_model``, the model with its own weights: ``shuffled`` has the
    model that each was made of.
    """
    table = metrics_table(runs, metrics=metrics, bootstrap=bootstrap, seed=seed)
    own = table["model"]
    table.insert(len(KEY), "of_model", own.map(lambda name: shuffled.get(name, name)))
    table.insert(len(KEY), "weights", own.where(own.isin(list(shuffled)), TRAINED))
    return table
