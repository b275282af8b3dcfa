"""What a model answers to prompts with SAEs in it."""
