"""What the study found, as paragraphs of numbers from its tables. Read `summary`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from saeflow.figures.places import learned
from saeflow.studies.saying import Say, estimate, name_of, paragraphs, span, verdicts

Tables = Mapping[str, pd.DataFrame]


def summary(tables: Tables) -> str:
    """Return what was found: costs, contexts, later layers, answers, controls.

    Parameters
    ----------
    tables
        Name -> table, of those that the study has; it says nothing of those that are missing.

    Returns
    -------
    str
        Paragraphs, with the lowest and the highest SAE.
    """
    parts: dict[str, Say] = {
        "performance": _costs,
        "controls": _controls,
        "context": _contexts,
        "propagation": _later,
        "answers": _answers,
        "feature_agreement": _causes,
        "published": verdicts,
    }
    return "\n\n".join(paragraphs(tables, parts))


def _costs(table: pd.DataFrame) -> Iterator[str]:
    known = learned(table[table["delta_ce"].notna()])
    if known.empty:
        return
    least, most = (known.loc[known["delta_ce"].agg(which)] for which in ("idxmin", "idxmax"))
    yield (
        f"Reconstructions in the place of one hook's activations add {estimate(least, 'delta_ce')}"
        f" nats per token ({name_of(least)}) to {estimate(most, 'delta_ce')} ({name_of(most)}),"
        f" to a clean loss of {span(known['ce_loss'], '.3f')}."
    )


def _controls(table: pd.DataFrame) -> Iterator[str]:
    own = learned(table[table["pathology_kl_norm"].notna()])
    if own.empty:
        return
    worse = int((own["pathology_kl_norm_low"] > 1).sum())
    yield (
        "An SAE's error makes"
        f" {span(own['pathology_kl_norm'], '.2f')} times the KL divergence of a random error of"
        f" the same norm, more with an interval above 1 in {worse} of {len(own)} SAEs; and"
        f" {span(own['pathology_kl_cosine'], '.2f')} times that of one with the same cosine."
    )


def _contexts(table: pd.DataFrame) -> Iterator[str]:
    table = table[table["fvu_beyond_ratio"].notna()]
    for border, rows in table.groupby("border", sort=False):
        for short, name in ((True, "that saw no more"), (False, "of longer contexts")):
            own = rows[(rows["training_context"] <= border) == short]
            if len(own):
                yield (
                    f"At positions beyond {border:.0f} tokens, SAEs {name} leave"
                    f" {span(own['fvu_beyond_ratio'], '.2f')} times the share unexplained that"
                    " they leave within, and cost"
                    f" {span(own['delta_ce_growth'], '+.3f')} nats per token more."
                )


def _later(table: pd.DataFrame) -> Iterator[str]:
    rows = table[(table["quantity"] == "squared_error") & (table["sae"] == table["later_sae"])]
    if rows.empty:
        return
    whole, direct = (rows[rows["way"] == way]["change"] for way in ("full", "direct"))
    yield (
        "An SAE at one layer changes the squared error of those of its recipe at later layers by"
        f" {span(whole, '+.1%')}, and by {span(direct, '+.1%')} where the model does not answer"
        " to its error but only carries it along."
    )


def _answers(table: pd.DataFrame) -> Iterator[str]:
    own = learned(table)
    for prompts, rows in own.groupby("prompts", sort=False):
        name = "accuracy_choice" if rows["accuracy_choice"].notna().any() else "accuracy"
        clean = rows[f"{name}_clean"].iloc[0]
        kind = "among the candidates" if name == "accuracy_choice" else "among all tokens"
        yield (
            f"Of the prompts {prompts}, {clean:.1%} are answered {kind} by the untouched model, and"
            f" {span(rows[name], '.1%')} with an SAE; ln p of the answer changes by"
            f" {span(rows['delta_logp'], '+.3f')}."
        )


def _causes(table: pd.DataFrame) -> Iterator[str]:
    of_scores = (table["of"] == "effect") & (table["with"] == "mean_delta")
    rows = table[of_scores & (table["among"] == "chosen") & table["rho"].notna()]
    if rows.empty:
        return
    told = int(((rows["rho_low"] > 0) | (rows["rho_high"] < 0)).sum())
    yield (
        "Scores of features go with what ablating them does by a rank correlation of"
        f" {span(rows['rho'], '+.2f')}; in {told} of {len(rows)} cases its interval leaves out"
        " zero."
    )
