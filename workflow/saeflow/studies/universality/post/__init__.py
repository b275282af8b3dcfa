"""The figures, tables and numbers of the post, corrected, and what it computed beside them.

Two trainings of one size of model, as on deduplicated text or not, are no setting: they are models,
or checkpoints of one, that a comparison varies and whose hooks have the same width.
"""

from __future__ import annotations

from saeflow.studies.study import Figure, Table, every_sae, training_logs
from saeflow.studies.universality.comparisons import given_pairs
from saeflow.studies.universality.rows import given_hubs, has_differing, in_model

_HERE = "saeflow.studies.universality.post"
_MODELS, _EXPANSIONS = has_differing("model"), has_differing("expansion")

TABLES: dict[str, Table] = {
    "frequencies": Table(f"{_HERE}.frequencies:frequencies", ("codes", "sae"), given=given_pairs),
    "perplexity": Table(
        "saeflow.tables.builders:metrics_table", ("language",),
        ("perplexity", "perplexity_sae", "ce_loss", "ce_loss_sae", "ce_loss_mean", "delta_ce"),
        rows=in_model, resampled=True, when=lambda _, section: bool(section["language_saes"]),
    ),
    "training_curves": training_logs("loss", "mse", "l0", "dead")._replace(rows=every_sae),
    "published": Table(
        f"{_HERE}.published:published", ("similarity", "codes", "sae"),
        ("mean_max", "perplexity", "perplexity_sae"), also=("language",), given=given_hubs,
    ),
}  # fmt: skip

_NULL = "In brackets is the largest that its nulls give: compare each number with its own."
_ROWS_AND_COLUMNS = """Rows are the SAEs whose features are looked for, columns those in which they
        are: the two directions differ. An SAE beside itself would have 1."""

FIGURES: dict[str, Figure] = {
    "frequency_by_model": Figure(
        "frequencies", "How often features are active, by model",
        draw=f"{_HERE}.histograms:by_model", when=_MODELS,
        caption="""
        Histograms of the share of tokens on which a feature is active: 100 bins, the same width on
        a logarithmic axis, a panel per model, the narrowest first. Features that are active on no
        token are counted as dead and are in no bin. Left of the dotted line a bin holds a single
        number of tokens, so that bins stand apart; a longer text would fill them. Heights are
        numbers of features: wider SAEs have more of all.
        """,
    ),
    "frequency_by_ratio": Figure(
        "frequencies", "How often features are active, by layer and ratio",
        draw=f"{_HERE}.histograms:by_expansion", when=_EXPANSIONS,
        caption="""
        The same for SAEs that differ in their widths alone: a row per layer, a column per ratio of
        d_in to the number of features. Vertical axes differ from panel to panel.
        """,
    ),
    "correlation_between_models": Figure(
        "similarities", "Correlation between models", draw=f"{_HERE}.maps:between_models",
        when=_MODELS,
        caption=f"""
        Mean over the live features of one SAE of the highest correlation over tokens with any live
        feature of the other, of models that read the same tokens. {_ROWS_AND_COLUMNS} {_NULL}
        Models are in the order of their widths.
        """,
    ),
    "two_trainings": Figure(
        "similarities", "Two trainings of one model", draw=f"{_HERE}.trainings:by_layer",
        when=has_differing("model", "checkpoint"),
        caption="""
        Mean best similarity of SAEs of two models whose hooks have the same width, as trained on
        deduplicated text or not, or of two checkpoints of one training, by layer. MCS is that of
        decoder rows, as in the post: two trainings have no reason to use the same directions, so
        that it may lie at its null for the same features. After rotation says the same of rows that
        were turned by an orthogonal map, fitted to activations on other tokens. Correlation asks
        no directions. The line across a bar is its null: random directions of the same number, or
        shuffled tokens and an SAE with random weights, the higher one.
        """,
    ),
    "mcs_between_ratios": Figure(
        "similarities", "MCS between ratios", draw=f"{_HERE}.maps:between_expansions",
        when=_EXPANSIONS,
        caption=f"""
        Mean over the live features of one SAE of the highest cosine of its decoder row with that of
        any live feature of the other; the SAEs differ in their widths alone. {_ROWS_AND_COLUMNS}
        {_NULL} Wider SAEs have more features to choose from, and so a higher null. SAEs of two
        widths begin with other weights here; with one start for all, that alone makes them alike.
        """,
    ),
    "similarity_to_largest": Figure(
        "similarities", "Similarity to the largest SAE", draw=f"{_HERE}.widths:by_width",
        when=_EXPANSIONS,
        caption="""
        MCS and correlation between the largest SAE of a hook and each smaller one. Features of a
        smaller one are looked for in the largest (orange), and features of the largest in a smaller
        one (blue), which cannot have all of them. Dashed is what chance gives for the same numbers
        of features: random directions, and the other activations at shuffled tokens. Dotted is the
        correlation with an SAE of random weights, where there is one at the hook.
        """,
    ),
    "training_curves": Figure(
        "training_curves", "Training", draw="saeflow.figures.curves:training_curves",
        options={
            "values": ("loss", "l0"), "names": {"loss": "Loss", "l0": "L0 (features per token)"}
        },
        caption="""
        The whole loss of the study's own SAEs, error and penalty, and the mean number of active
        features, against the tokens seen: means over the batches since the point before. Losses
        compare within a recipe: each has its own penalty, and each hook its own scale.
        """,
    ),
    "perplexity_by_layer": Figure(
        "perplexity", "Perplexity with an SAE in the model",
        draw=f"{_HERE}.perplexities:perplexity_by_layer",
        caption="""
        Perplexity, the exponential of the mean loss per token, of the model as it is and with the
        activations of one hook replaced by an SAE's reconstructions. Crosses have the mean
        activation there: what a hook with nothing to say would cost. The axis is logarithmic.
        """,
    ),
    "as_published": Figure(
        "similarities", "Two computations as published", draw=f"{_HERE}.slips:as_published",
        when=lambda config, _: config["measures"]["similarity"]["published_mode"],
        caption="""
        Left: correlation, and what the published code computed in its place, on a few thousand
        tokens: the cosine of activations whose mean is not taken off. Activations are never
        negative, so that it is never below zero, and high for features that are active much of the
        time, whatever they have in common; of rare features the two differ little. Right: MCS,
        that of random directions, and of the directions with entries between zero and one that the
        published code took for these; all of them lie in one corner of the space, where decoder
        rows do not, so that they find less than chance does. A row is what two SAEs differ in; the
        lowest are SAEs that should share nothing.
        """,
    ),
}  # fmt: skip
