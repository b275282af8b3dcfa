"""What an SAE's error is held against: random errors, ablations, PCA of the same size."""

from __future__ import annotations

from saeflow.metrics.registry import metrics_of
from saeflow.studies.study import Figure, Table, bars, metrics_table

_HERE = "saeflow.studies.reconstruction.controls"

TABLES: dict[str, Table] = {
    "controls": metrics_table(
        "l0", "fvu", *metrics_of("controls"), reads=("sae",), facts=("architecture", "baseline"),
        originals=True,
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
        line=(1.0, "as a random error"), select=f"{_HERE}.figures:learned",
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
}  # fmt: skip
