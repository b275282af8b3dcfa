"""The study of universality: whether different SAEs find the same features."""
