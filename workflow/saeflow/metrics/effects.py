"""What the model loses with each latent: no metric of its own, for it is a number per latent.

`FILE` has a row per latent: ``latent``; ``effect``, the loss in nats that the test tokens gain in
sum when the latent is taken out of the activations at the hook, to first order; ``absolute``, the
sum over tokens of the absolute value of the same. Of a few latents ``exact`` is what some sequences
gain in fact, and ``estimate`` the first order of the same; they are NaN for the others.
`saeflow.measures.effects` says how.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure

FILE = "latents.parquet"

MEASURE = Measure(
    name="effects",
    text="What the model's loss gains when a latent of an SAE is taken out of the activations at"
    " the hook: of all latents estimated by gradients, of some computed.",
    compute="saeflow.measures.effects.measure:measure_effects",
    reads=("activations", "model", "tokens"),
    together=True,
)
