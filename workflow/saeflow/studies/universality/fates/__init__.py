"""What decides whether a feature is found."""
