"""How features of an SAE come apart in a wider one: no metric of its own; a study counts by it.

Of each live latent of the narrower SAE its *main* latent in the wider one has the most similar
decoder row; its *children* are the other ones of whose rows its own is the most similar. Neither
counts below a cosine of `LEAST`.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure

LEAST = 0.55
"""The cosine of decoder rows from which on a latent has a parent: three children of one size whose
directions have nothing in common have 0.58 with their parent's."""

NARROW, WIDE = "narrow.parquet", "wide.parquet"
"""Files with a row per live latent of the narrower and of the wider SAE."""

MEASURE = Measure(
    name="splitting",
    text="Whether latents of a wider SAE are active where the latent is of the narrower one that"
    " they come from, and which of them are in the place of others.",
    compute="saeflow.measures.splitting:measure_splitting",
    reads=("codes",),
    of="pair",
    together=True,
)
