"""What the model's own end says of labelled texts at a hook: kept as fits and scores of probes.

`saeflow.metrics.dense_probes` says what is formed of them.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure

MEASURE = Measure(
    name="lenses",
    text="What the model's own end says of labelled texts when it reads a hook's states: the logit"
    " lens, and a tuned lens. Needs labelled texts whose answers are words.",
    compute="saeflow.measures.lenses.measure:measure_lenses",
    reads=("model", "tokenizer", "labelled", "states"),
    of="hook",
    together=True,
)
