"""One module per command, each with `HELP`, `add_arguments` and `run`; found by name."""
