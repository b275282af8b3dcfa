"""The text of docs/metrics.md, from the registry."""

from __future__ import annotations

from saeflow.metrics.registry import METRICS, SYMBOLS, Metric

_DIRECTIONS = {
    "lower": "lower is better",
    "higher": "higher is better",
    "one": "1 is best",
    "none": "describes",
}

_HEAD = """# Metrics

Generated from `workflow/saeflow/metrics/registry.py`. Do not edit: edit the registry.

Every ratio is formed once, after summing over all evaluated tokens in float64, so no metric
depends on the batch size. Intervals are percentile bootstraps over documents, never over tokens:
tokens of one document are not independent.
"""

_NOTES = """
## Notes

- `fvu` compares with the mean of exactly the evaluated tokens. Predicting that mean gives 1, also
  where the mean is large; the mean is kept fixed when documents are resampled.
- `l2_ratio` and `cosine` leave out tokens with |x| = 0.
- `dead` depends on the number of evaluated tokens, which is always printed with it. It has no
  bootstrap interval: resampling can only lose firings, never find one.
- Zero ablation is a very weak opponent on the residual stream; read `ce_recovered_zero` beside
  `ce_recovered_mean`. Where ablation hardly hurts, the ratio is noise, and the record of the
  measurement says so (`ablation_gaps`).
- `probe_*` are of tokens that one of the wanted tokens follows, so their number is smaller than
  that of other measures. A probe was fitted to activations, or to latents, of the training split;
  it was never fitted to a reconstruction.
- `delta_ce` compares one pass with the SAE to one clean pass of the same model on the same
  tokens, in the same precision.
"""


def metrics_page() -> str:
    """Return docs/metrics.md as text."""
    symbols = "\n".join(f"- `{letter}`: {meaning}" for letter, meaning in SYMBOLS.items())
    parts = [_HEAD, f"## Letters\n\n{symbols}\n"]
    for measure in dict.fromkeys(metric.measure for metric in METRICS.values()):
        rows = [_row(m) for m in METRICS.values() if m.measure == measure]
        parts.append(
            f"## {measure.capitalize()}\n\n"
            "| name | label | formula | unit | reading | source |\n|---|---|---|---|---|---|\n"
            + "\n".join(rows)
            + "\n"
        )
    return "\n".join(parts) + _NOTES


def _row(metric: Metric) -> str:
    cells = (
        f"`{metric.name}`",
        metric.label,
        # A bare bar would end the cell.
        metric.formula.replace("|", "\\|"),
        metric.unit or "–",
        _DIRECTIONS[metric.direction],
        metric.source,
    )
    return "| " + " | ".join(cells) + " |"
