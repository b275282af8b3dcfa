"""SAEs at each position of the context."""
