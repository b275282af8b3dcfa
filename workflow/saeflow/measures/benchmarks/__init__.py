"""How well a language model itself solves prompts."""
