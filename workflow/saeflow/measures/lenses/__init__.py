"""The measure ``lenses``: what the model itself would say of a text, read at a hook."""
