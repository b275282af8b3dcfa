"""The text of docs/metrics.md, from the registry."""

from __future__ import annotations

from saeflow.metrics.metric import Measure, Metric
from saeflow.metrics.registry import MEASURES, SYMBOLS

_DIRECTIONS = {
    "lower": "lower is better",
    "higher": "higher is better",
    "one": "1 is best",
    "none": "describes",
}

_HEAD = """# Metrics

Generated from the modules of `workflow/saeflow/metrics/`. Do not edit: edit these.

A measure adds up sums, per document and per latent; tables form metrics of them. So every ratio is
formed once, after summing over all evaluated tokens in float64, and no metric depends on the batch
size. Intervals are percentile bootstraps over documents, never over tokens: tokens of one document
are not independent.
"""

_NOTES = """
## Notes

- `fvu` compares with the mean of exactly the evaluated tokens. Predicting that mean gives 1, also
  where the mean is large; the mean is kept fixed when documents are resampled.
- `l2_ratio` and `cosine` leave out tokens with |x| = 0.
- `dead` depends on the number of evaluated tokens, which is always printed with it. It has no
  bootstrap interval: resampling can only lose firings, never find one.
- Metrics with x̂₀, f₀ or q₀ compare a fine-tuned SAE with its parent: both are resampled together,
  the same documents for either, so that what documents have in common drops out of the interval.
- Zero ablation is a very weak opponent on the residual stream; read `ce_recovered_zero` beside
  `ce_recovered_mean`. Where ablation hardly hurts, the ratio is noise, and the column
  `notes` of tables says so.
- An SAE of which more than a quarter of the latents are active on a token, or fewer than one, is
  warned about when it is trained or imported, and noted beside its `l0`: its penalty does not suit
  the size of the activations.
- `probe_*` are of tokens that one of the wanted tokens follows, so their number is smaller than
  that of other measures. A probe was fitted to activations, or to latents, of the training split;
  it was never fitted to a reconstruction.
- `delta_ce` compares one pass with the SAE to one clean pass of the same model on the same
  tokens, in the same precision.
"""


def metrics_page() -> str:
    """Return docs/metrics.md as text."""
    symbols = "\n".join(f"- `{letter}`: {meaning}" for letter, meaning in SYMBOLS.items())
    sections = [_section(measure) for measure in MEASURES.values()]
    return "\n".join([_HEAD, f"## Letters\n\n{symbols}\n", *sections]) + _NOTES


def _section(measure: Measure) -> str:
    text = f"## {measure.name.capitalize()}\n\n{measure.text}\n"
    if not measure.metrics:
        return text
    rows = "\n".join(_row(metric) for metric in measure.metrics)
    return (
        f"{text}\n"
        "| name | label | definition | unit | reading | source |\n|---|---|---|---|---|---|\n"
        f"{rows}\n"
    )


def _row(metric: Metric) -> str:
    cells = (
        f"`{metric.name}`",
        metric.label,
        # A bare bar would end the cell.
        metric.text.replace("|", "\\|"),
        metric.unit or "–",
        _DIRECTIONS[metric.direction],
        metric.source,
    )
    return "| " + " | ".join(cells) + " |"
