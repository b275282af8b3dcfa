"""The latents of SAEs token by token: no metric of their own; pairs of SAEs are compared by them.

`saeflow.measures.codes` reads them.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure

MEASURE = Measure(
    name="codes",
    text="The latents of an SAE on the first ordinary tokens of the test split, token by token, and"
    " which of them are dead, rare or duplicates of others.",
    compute="saeflow.measures.codes.measure:measure_codes",
    reads=("activations",),
    together=True,
)
