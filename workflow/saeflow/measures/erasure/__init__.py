"""Removing concepts from a hook, and steering with them. Read `measure.measure_erasure`."""
