"""The numbers that the five posts published, one module per study."""
