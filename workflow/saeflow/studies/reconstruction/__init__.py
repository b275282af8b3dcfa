"""The study of reconstructed activations: what a language model loses with them.

After the post "Examining language model performance with reconstructed activations using sparse
autoencoders" (Anders and Bloom, 2024). Read `STUDY`; each part of the study is a folder of its own.
"""

from __future__ import annotations

from saeflow.studies.reconstruction import benchmarks, context, controls, features, propagation
from saeflow.studies.reconstruction.rows import at_positions, on_prompts, upstream
from saeflow.studies.study import Figure, Study, Table, bars, metrics_table

PUBLISHED_METRICS = (
    "delta_ce",
    "l0_beyond_ratio", "squared_error_beyond_ratio", "delta_ce_growth", "delta_ce_beyond",
    "accuracy_first_token", "accuracy_first_token_clean", "delta_logp_first_token", "prompt_ce",
    "delta_prompt_ce", "published_l0", "published_norm", "published_delta_ce",
)  # fmt: skip
"""What the table of published numbers is made of, as far as it is measured."""

TABLES: dict[str, Table] = {
    "performance": metrics_table(
        "l0", "fvu", "ce_loss", "delta_ce", "kl", "ce_recovered_zero", "ce_recovered_mean",
        reads=("sae",), facts=("architecture", "baseline"),
    ),
    "published": Table(
        "saeflow.studies.reconstruction.published:published",
        ("language", "sae"),
        PUBLISHED_METRICS,
        also=("positions", "answers", "propagation"),
    ),
}  # fmt: skip

FIGURES: dict[str, Figure] = {
    "delta_ce_by_layer": bars(
        "performance", "delta_ce",
        title="What reconstructions cost by layer",
        caption="""
        Loss that the model gains when the activations of one hook are replaced by an SAE's
        reconstructions, in nats per predicted token; nothing else is changed. Zero is no loss.
        Baselines are among the controls.
        """,
        select="saeflow.figures.places:learned",
    ),
}  # fmt: skip

STUDY = Study(
    title="Performance with reconstructed activations",
    introduction="""
    An SAE is a good account of a model's activations if the model can go on with what the SAE makes
    of them. This study puts reconstructions in the place of activations and asks what the model
    loses: at which layers and positions, what becomes of the error on its way through later layers,
    which tasks suffer, and which features are to blame (after Anders and Bloom, 2024).
    """,
    tables={
        **TABLES,
        **benchmarks.TABLES,
        **context.TABLES,
        **controls.TABLES,
        **features.TABLES,
        **propagation.TABLES,
    },
    figures={
        **FIGURES,
        **context.FIGURES,
        **propagation.FIGURES,
        **benchmarks.FIGURES,
        **features.FIGURES,
        **controls.FIGURES,
    },
    key_figure="delta_ce_by_layer",
    summary="saeflow.studies.reconstruction.summary:summary",
    section="saeflow.studies.reconstruction.section:Section",
    rows_of={
        "positions": at_positions,
        "propagation": upstream,
        "answers": on_prompts,
        "ablations": features.ablated,
    },
)
