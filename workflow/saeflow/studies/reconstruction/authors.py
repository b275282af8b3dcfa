"""The tables that the post's authors released, in the form of ours.

Evan Anders' repository holds what the post's figures were drawn from. Figures of this study can be
drawn of these tables, which shows that they say what the post's say. Read `context_sizes` and
`prompts`; `draw` draws everything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from saeflow.figures.drawing import Drawing
from saeflow.figures.save import save_figure
from saeflow.metrics.intervals import form, totals_and_draws
from saeflow.metrics.positions import SEEN
from saeflow.metrics.registry import METRICS
from saeflow.studies.reconstruction.benchmarks import OUTCOMES
from saeflow.studies.reconstruction.benchmarks.figures import by_layer, class_shares
from saeflow.studies.reconstruction.benchmarks.of_prompts import (
    outcomes_of_prompts,
    prompts_by_layer,
    statistics_and_norm,
)
from saeflow.studies.reconstruction.benchmarks.tables import FIRST, OUTCOME_COLUMNS
from saeflow.studies.reconstruction.context.figures import by_position, norms_and_errors
from saeflow.studies.reconstruction.context.selections import with_special
from saeflow.tables.builders import KEY, columns

MODEL, SAE, CONTEXT = "gpt2-small", "res-jb", 128
"""The post's model, its SAEs, and the context that these were trained at."""
_PROMPTS = 100
_NAMES = {
    "context_position": "position",
    "layer": "block",
    "l0s": "l0",
    "l1s": "l1",
    "mses": "squared_error",
    "act_l2": "act_norm",
    "loss_base": "ce_clean",
    "loss_reconst": "ce_sae",
    "delta_CE_loss": "delta_ce",
}
_OF_PROMPTS = {
    "delta_ln_prob": "delta_logp",
    "layer": "block",
    "l2_activation": "norm",
    "mse": "mse_saelens24",
    "delta_CE": "delta_ce",
}
_L1_COEFFICIENT = 8e-5
"""That of the SAEs' training, which the L1 of the benchmarks is multiplied by."""
_METRICS = ("accuracy_first_token", "accuracy_first_token_clean", "delta_logp_first_token")
_STATISTICS = ("mse_saelens24", "l0", "l1", "delta_logp")


def context_sizes(path: Path) -> pd.DataFrame:
    """Read context_size_df.csv: a row per layer and position, 1 to 1,024.

    Returns
    -------
    DataFrame
        Columns of `saeflow.studies.reconstruction.context.tables.exact`, without ``fvu``. Position
        1 is BOS, which the SAEs replaced too. Texts are from the start of the split that the SAEs
        were trained on. The last position predicts nothing; the file has 0 there, this table NaN.
    """
    table = pd.read_csv(path).rename(columns=_NAMES)
    losses = ["ce_clean", "ce_sae", "delta_ce"]
    table[losses] = table[losses].where(table["position"] < table["position"].max())
    return _about(table).assign(
        part=SEEN,
        special=table["position"] == 1,
        first=table["position"],
        last=table["position"],
        n_tokens=_PROMPTS,
        n_predictions=_PROMPTS,
    )


def prompts(path: Path) -> pd.DataFrame:
    """Read lambada_df.csv or cbt_df.csv: a row per layer and prompt, 12 times 1,000.

    Returns
    -------
    DataFrame
        Columns of `saeflow.studies.reconstruction.benchmarks.tables.outcomes`, without
        ``squared_error``. An answer counts by its first token. Statistics are of reconstructions of
        reconstructions, with BOS and without the last token of the prompt, and ``delta_ce`` is what
        the second reconstruction adds: ours with `published_mode`, not ours without.
    """
    table = pd.read_csv(path, index_col=0).rename(columns=_OF_PROMPTS)
    table = _about(table).assign(
        prompts=Path(path).stem.removesuffix("_df"),
        prompt=table.groupby("block").cumcount(),
        outcome=table["classification"].map(dict(enumerate(OUTCOMES))),
        l1=table["l1"] / _L1_COEFFICIENT,
    )
    return table[[name for name in OUTCOME_COLUMNS if name != "squared_error"]]


def answers(outcomes: pd.DataFrame, *, bootstrap: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Form of `prompts` what `saeflow.studies.reconstruction.benchmarks.tables.answers` has."""
    rows = []
    for _, own in outcomes.groupby(["prompts", "block"], sort=False):
        sums = {
            "prompts": np.ones(len(own)),
            "right_first_clean": own["outcome"].isin(["both", "baseline_only"]).to_numpy(float),
            "right_first_sae": own["outcome"].isin(["both", "sae_only"]).to_numpy(float),
            "log_p_first_clean": np.zeros(len(own)),
            "log_p_first_sae": own["delta_logp"].to_numpy(),
        }
        both = totals_and_draws(sums, bootstrap, seed)
        found = {name: form(METRICS[name].formula, *both) for name in _METRICS}
        place = own.iloc[0][["prompts", *KEY]].to_dict()
        rows.append({**place, "n_prompts": len(own), **columns(found)})
    return pd.DataFrame(rows)


def classes(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Count of `prompts` what `saeflow.studies.reconstruction.benchmarks.tables.classes` has."""
    counts = outcomes.groupby(["prompts", *KEY], sort=False)["outcome"].value_counts().unstack()
    found = counts.reindex(columns=list(OUTCOMES)).fillna(0).astype(int).add_prefix("n_")
    n_prompts = found.sum(axis=1).to_numpy()
    return found.reset_index().assign(scoring=FIRST, main=True, n_prompts=n_prompts)


def draw(directory: Path, out: Path) -> list[Path]:
    """Draw the post's figures of its authors' tables with the functions that draw ours.

    Of context_size_df.csv, lambada_df.csv and cbt_df.csv in ``directory``, as PDF and PNG.
    """
    out.mkdir(parents=True, exist_ok=True)
    return [
        path
        for name, drawing in drawings(directory)
        for path in save_figure(drawing.figure, out / name)
    ]


def drawings(directory: Path) -> Iterator[tuple[str, Drawing]]:
    """Yield the name of each figure and what is drawn, as for `draw`."""
    table = with_special(context_sizes(directory / "context_size_df.csv"))
    yield "context_sizes", by_position(table, values=["l0", "squared_error", "l1"])
    yield "context_sizes_ce", by_position(table, values=["delta_ce"], log=False, beside=True)
    yield "activations_vs_error", norms_and_errors(table)
    labels = {name: METRICS[name].axis for name in _METRICS}
    levels = [_METRICS[:2], _METRICS[2:]]
    for name in ("lambada", "cbt"):
        own = prompts(directory / f"{name}_df.csv")
        yield f"{name}_answers", by_layer(answers(own), levels=levels, labels=labels)
        yield f"{name}_classes", class_shares(classes(own))
        yield f"{name}_outcomes", outcomes_of_prompts(own)
        yield f"{name}_change_by_layer", prompts_by_layer(own, value="delta_logp")
        yield f"{name}_norms_by_layer", prompts_by_layer(own, value="norm", log=True)
        yield f"{name}_statistics", statistics_and_norm(own, values=_STATISTICS)


def _about(table: pd.DataFrame) -> pd.DataFrame:
    """Say whose SAEs a table with a ``block`` is of, in the columns of ours."""
    return table.assign(
        model=MODEL,
        hook="resid_pre." + table["block"].astype(str),
        site="resid_pre",
        sae=SAE,
        seed=0,
        method="original",
        packing="",
        training_context=CONTEXT,
        input_norm="center",
    )
