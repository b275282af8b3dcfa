"""One module per metric, named like it, with `compute(sums)` on accumulated float64 sums."""
