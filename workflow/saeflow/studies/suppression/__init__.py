"""The suppression study: what the L1 penalty takes from latents, and what gives it back.

`STUDY` says what it shows; `saeflow.studies.suppression.figures` has the figures with their words.
"""

from __future__ import annotations

from saeflow.metrics.registry import metrics_of
from saeflow.studies.study import (
    Study,
    Table,
    metrics_table,
    paired_table,
    training_logs,
)
from saeflow.studies.suppression.conditions import (
    FROZEN,
    has_closed_form,
    has_decoders,
    has_penalty,
    is_tuned,
    rows,
)
from saeflow.studies.suppression.figures import FIGURES

_HERE = "saeflow.studies.suppression"


_OF_LATENTS = ("reconstruction", "sae")

TABLES = {
    "l2_ratio": metrics_table("l2_ratio"),
    "l0": metrics_table("l0"),
    "mse_reduction": paired_table("mse_reduction", when=is_tuned),
    "perplexity_recovery": paired_table("perplexity_recovery", when=is_tuned),
    "language_change": paired_table("language_change", when=is_tuned),
    "probes": metrics_table(*metrics_of("probes")),
    "probe_change": paired_table(
        "probe_loss_change",
        "probe_accuracy_change",
        "probe_loss_change_codes",
        "probe_accuracy_change_codes",
        when=is_tuned,
    ),
    "reconstruction_bias": metrics_table("reconstruction_bias"),
    "suppression_by_architecture": metrics_table(
        "l0", "reconstruction_bias", "l2_ratio", "fvu",
        reads=("sae",), facts=("architecture", "baseline"), originals=True,
    ),
    "kept": Table(f"{_HERE}.tuning:kept", ("reconstruction",), ("l0",), when=is_tuned),
    "frequencies": Table(f"{_HERE}.latents:frequencies", ("reconstruction",)),
    "latents": Table(f"{_HERE}.latents:latents", _OF_LATENTS, when=has_decoders),
    "correlations": Table(f"{_HERE}.latents:correlations", _OF_LATENTS, when=has_decoders),
    "shift": Table(
        f"{_HERE}.latents:shift", _OF_LATENTS, options={"frozen": FROZEN}, resampled=True,
        when=has_penalty,
    ),
    "closed_form": Table(
        f"{_HERE}.tuning:closed_form", _OF_LATENTS, resampled=True, when=has_closed_form
    ),
    "published": Table(
        f"{_HERE}.published:published",
        ("reconstruction", "language", "sae"),
        ("l0", "l2_ratio", "mse_reduction", "perplexity_recovery", "delta_ce"),
        {"frozen": FROZEN},
        when=is_tuned,
    ),
    "frontier": metrics_table("l0", "fvu", "delta_ce", "ce_recovered_mean"),
    "metrics": metrics_table(*metrics_of("reconstruction", "language")),
    "training_curves": training_logs("loss", "mse", "fvu", "l0", "dead"),
    "tuning_curves": Table(f"{_HERE}.tuning:tuning_curves", ("sae",), when=is_tuned),
    "theory": Table(f"{_HERE}.theory:theory", ("simulation",)),
}  # fmt: skip

STUDY = Study(
    title="Feature suppression",
    introduction="""
    An autoencoder that is trained with an L1 penalty pays for the size of its latents, so it makes
    them, and with them its reconstructions, smaller than they should be: *feature suppression*
    (Wright and Sharkey, 2024). Fine-tuning without the penalty, with the encoder frozen, should
    undo it without changing which latents are active. Autoencoders that are sparse in other ways
    (TopK, BatchTopK, gated, JumpReLU), where the study has some, stand beside them.
    """,
    tables=TABLES,
    figures=FIGURES,
    key_figure="l2_ratio_by_layer",
    summary=f"{_HERE}.summary:summary",
    section=f"{_HERE}.section:Section",
    rows=rows,
    simulation=f"{_HERE}.simulation:simulate",
)
