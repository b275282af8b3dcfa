"""Language models: fetching, training, hooks, slices, losses, sampling."""
