"""Where latents are most active, in words: no metric, but what people read of a latent.

`FILE` has a row per live latent and document, those with the latent's largest activations: see
`saeflow.measures.contexts.contexts`.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure

FILE = "contexts.parquet"

MEASURE = Measure(
    name="contexts",
    text="The text around the tokens on which each latent of an SAE is most active, of those on"
    " which SAEs are compared.",
    compute="saeflow.measures.contexts:measure_contexts",
    reads=("codes", "tokens", "tokenizer"),
    together=True,
)
