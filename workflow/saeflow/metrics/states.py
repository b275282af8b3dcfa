"""The states of labelled texts at a hook: no metric of its own; probes read them."""

from __future__ import annotations

from saeflow.metrics.metric import Measure

MEASURE = Measure(
    name="states",
    text="The model's activations at a hook on labelled texts, at their last tokens or at all.",
    compute="saeflow.measures.states.measure:measure_states",
    reads=("model", "tokenizer", "labelled"),
    of="hook",
    together=True,
)
