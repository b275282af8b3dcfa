"""One architecture per module, loaded by name with `saeflow.registry.load`."""
