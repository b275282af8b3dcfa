"""One foreign format per module, loaded by name with `saeflow.registry.load`; see `foreign.py`."""
