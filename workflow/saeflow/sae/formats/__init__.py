"""One foreign format per module, loaded by name (`registry.load`); see `saved/foreign.py`."""
