"""Activations: stored once per hook in sharded Zarr, mapped back as one array."""
