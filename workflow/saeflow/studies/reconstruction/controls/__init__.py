"""What an SAE's error is held against: random errors, ablations, PCA of the same size."""

from __future__ import annotations

from typing import Any

from saeflow.metrics.registry import metrics_of
from saeflow.studies.reconstruction.controls.rows import imported
from saeflow.studies.shuffled import has_controls, on_shuffled_models, shuffled_of
from saeflow.studies.study import Config, Figure, Table, bars, has, metrics_table

_HERE = "saeflow.studies.reconstruction.controls"


def has_imports(config: Config, section: Config) -> bool:
    """Say whether there are SAEs from elsewhere."""
    return any(True for _ in imported(config, section))


def scaling_of(config: Config, section: Config) -> dict[str, Any]:  # noqa: ARG001
    """Return the scaling table."""
    return {"scaling": section["scaling"]}


TABLES: dict[str, Table] = {
    "controls": metrics_table(
        "l0", "fvu", *metrics_of("controls"), reads=("sae",), facts=("architecture", "baseline"),
        originals=True,
    ),
    "shuffled_model": Table(
        f"{_HERE}.tables:on_shuffled", ("reconstruction",), ("l0", "fvu", "dead"),
        given=shuffled_of, rows=on_shuffled_models, resampled=True, when=has_controls,
    ),
    "imports": metrics_table(*metrics_of("gate"))._replace(rows=imported, when=has_imports),
    "smaller_models": Table(
        f"{_HERE}.tables:smaller_models", ("language",), given=scaling_of, resampled=True,
        when=has("scaling"),
    ),
}  # fmt: skip

FIGURES: dict[str, Figure] = {
    "controls_by_layer": Figure(
        "controls", "What other errors cost", draw=f"{_HERE}.figures:controls_by_layer",
        caption="""
        The loss that the model gains, in nats per token on a logarithmic axis, when every
        activation of a hook is replaced: by the SAE's reconstruction; by the activation with a
        random error of the same norm, of the same norm and cosine; by the projection on as many
        principal components as the SAE has active latents, about; by the mean; by zero. All on the
        same tokens. An SAE below the random errors makes errors that the model minds less than
        others of their size, one above them makes worse ones (Gurnee, 2024). Random errors of a
        large SAE error are large too: a point is to be compared with those at its own layer and in
        its own panel. Principal components cost d_in numbers each, as latents do, but are always
        the same ones.
        """,
    ),
    "pathology_by_layer": bars(
        "controls", "pathology_kl_norm", title="SAE errors against random errors of their norm",
        line=(1.0, "as a random error"), select="saeflow.figures.places:learned",
        caption="""
        How many times the divergence of the model's predictions from the clean ones an SAE makes
        that a random error of the same norm on the same tokens makes: KL with the SAE over KL with
        the random error, sums over tokens. Above the dashed line the SAE's errors lie where the
        model is more sensitive than in a random direction. That is no fault of the SAE alone: an
        activation's own directions matter more than random ones, so that leaving some of them out
        does too. The table has the same for the added loss, and beside random errors of equal
        cosine, which leave the length of the reconstruction too.
        """,
    ),
    "shuffled_by_layer": bars(
        "shuffled_model", "fvu", title="SAEs on a model whose weights mean nothing",
        bars="weights", select=f"{_HERE}.figures:beside_real",
        caption="""
        The fraction of variance that an SAE leaves unexplained, by the same recipe on the model and
        on a control with the same architecture and texts, in which the entries of every weight were
        permuted. An SAE that explains the control about as well has found what any such network
        makes of text, at least as far as a reconstruction tells. The two are to be compared at the
        L0 and with the dead latents that the table names: of another L0 another error is expected.
        """,
    ),
    "smaller_models_by_layer": bars(
        "smaller_models", "equivalent_share", title="The model with an SAE as a smaller model",
        label="Equivalent size (share of the model's)", line=(1.0, "the model itself"),
        caption="""
        How large a model is that has the loss of this one with the SAE in the hook's place, as a
        share of how large one is that has its own loss. Sizes are read off the scaling table of the
        configuration, between whose models a power law is taken. It says no more than the loss
        does, in another unit. SAEs whose loss no two models of the table enclose are left out.
        """,
    ),
}  # fmt: skip
