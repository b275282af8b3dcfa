"""DataFrame in, Figure out; one style file; labels from the metrics registry."""
