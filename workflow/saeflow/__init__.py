"""Sparse autoencoders of language models: stores, training, metrics and figures.

For a notebook there are `load_sae`, `open_store` and `read_table`; see `saeflow.notebook`.
"""


def __getattr__(name: str) -> object:
    """Give the functions of `saeflow.notebook`, which is imported only when one is asked for."""
    if name in ("load_sae", "open_store", "read_table"):
        import importlib

        return getattr(importlib.import_module("saeflow.notebook"), name)
    raise AttributeError(f"module 'saeflow' has no attribute '{name}'")
