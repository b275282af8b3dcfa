"""The built-in world: a seeded English-like corpus whose every word carries its ground truth."""
