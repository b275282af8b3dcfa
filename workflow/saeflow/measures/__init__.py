"""From an SAE and a set of tokens to sums, metrics and intervals."""
