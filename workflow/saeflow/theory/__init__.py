"""Small models whose answer is known."""
