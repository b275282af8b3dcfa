"""What single features do to a model's answers: their contribution taken out.

No metric is formed over all features: `saeflow.studies.reconstruction.features` has the tables.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure

MEASURE = Measure(
    name="ablations",
    text="What becomes of the answers to a prompt set when single features of an SAE, and sets of"
    " them, are ablated: taken out of the reconstruction, and out of the activations themselves.",
    compute="saeflow.measures.ablations.measure:measure_ablations",
    reads=("model", "tokenizer", "prompts", "answers"),
    together=True,
)
