"""The `saeflow` command: what one asks about a workflow, beside running it."""
