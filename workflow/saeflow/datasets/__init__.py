"""Datasets: documents with their split, from the hub, local files or a model."""
