"""From SAEs or a model to sums per document and per latent; metrics are formed later."""
