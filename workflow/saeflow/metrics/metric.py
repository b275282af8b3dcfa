"""What a metric is, and what a measure is: declarations that planning reads, without torch.

A measure is a module of `saeflow.metrics` that ends with ``MEASURE``: its metrics, each formula
beside its label, unit and source, and the name of the function that adds up the sums they need.
Read `Metric` and `Measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

Sums = Mapping[str, np.ndarray]
Formula = Callable[[Sums], np.ndarray]


class Metric(NamedTuple):
    """A number formed from sums."""

    name: str
    """Its key everywhere: config, tables, columns."""
    label: str
    """The axis label, without the unit."""
    text: str
    """The definition in one line; `saeflow.metrics.registry.SYMBOLS` explains the letters."""
    formula: Formula
    """From sums by name, each a float64 scalar or an array of resamples, to the number. It has the
    metric's name in the module of the measure, by which its code is followed."""
    source: str
    """Where the definition comes from."""
    unit: str = ""
    """Empty for ratios and counts without a unit."""
    direction: str = "none"
    """What is better: "lower", "higher", "one" (the closer to 1), or "none" (it describes)."""
    per: str = "token"
    """What it is one number of: "token" where tokens are averaged into one, "latent" for one per
    latent, "width" for a share of the SAE's latents, "match" where it is formed of what is found
    for each latent of one SAE among those of another (`saeflow.metrics.similarity.matches`)."""
    paired: bool = False
    """Whether it is formed from the sums of an SAE and of the one that it was fine-tuned from, on
    the same documents: keys "tuned_<sum>" and "parent_<sum>"."""
    doubt: Callable[[Sums], str] | None = None
    """From the sums of all documents to what makes this number doubtful, in words; "" for
    nothing."""

    @property
    def axis(self) -> str:
        """The axis label with the unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


class Measure(NamedTuple):
    """A measurement: one pass that adds up sums for every result that is wanted of it."""

    name: str
    """Its key everywhere: config, paths, tables."""
    text: str
    """What is measured, in a sentence."""
    compute: str
    """The function, "saeflow.measures.reconstruction:measure_reconstruction"; called with the list
    of `saeflow.task.Task`. Each task's work gets ``documents.parquet`` (sums per document) and what
    else the formulas need."""
    metrics: tuple[Metric, ...] = ()
    """What is formed of the sums."""
    reads: tuple[str, ...] = ("activations",)
    """Inputs besides the SAE: "activations" (and "target" of transcoders), "model" and "tokens",
    "fitted" (activations whose training split probes are fitted to), "dataset", "tokenizer",
    "clean" (what the hook's own activations and their ablations give, `saeflow.metrics.clean`),
    "trained_on" (the tokens that the SAE was trained on here, if of the same dataset), "prompts" (a
    prompt set), "labelled" (labelled texts), "states" (the hook's activations on them,
    `saeflow.metrics.states`), "codes" (the SAE's latents, `saeflow.metrics.codes`), "others"
    (further SAEs that the study's row names)."""
    of: str = "sae"
    """What is measured: each "sae"; each language "model"; each "hook", for other measures to read;
    or each "pair" of SAEs that are compared, which reads of the second what it reads of the first,
    under "other_..."."""
    together: bool = False
    """Whether all hooks of a model, and all prompt sets or labelled texts, are measured in one
    pass, where one clean run of the model serves them all; else each hook has a pass of its own."""
    section: str = ""
    """The section of `measures` with its settings; that of its own name by default."""
    ignores: tuple[str, ...] = ()
    """Keys of that section which are for others that share it."""

    @property
    def settings(self) -> str:
        """The section of `measures` with its settings."""
        return self.section or self.name


def ratio(above: str, below: str) -> Formula:
    """Return the formula of one sum over another: sums of these names."""
    return lambda sums: sums[above] / sums[below]


def quotient(above: Formula, below: Formula) -> Formula:
    """Return the formula of one number over another."""
    return lambda sums: above(sums) / below(sums)


def difference(more: str, less: str, below: str) -> Formula:
    """Return the formula of one sum without another, over a third: sums of these names."""
    return lambda sums: (sums[more] - sums[less]) / sums[below]
