"""What stored activations of a hook, and their ablations, give in the model: no metric of its own.

The losses are kept token by token (`saeflow.measures.losses`) for the measures that put something
else in the place of the activations; `saeflow.metrics.language` forms metrics of their sums.
"""

from __future__ import annotations

from saeflow.metrics.metric import Measure

MEASURE = Measure(
    name="clean",
    text="What the model makes of a hook's own activations, as stored, and of zero and their mean"
    " in their place, token by token.",
    compute="saeflow.measures.clean:measure_clean",
    reads=("activations", "model", "tokens"),
    of="hook",
    together=True,
)
