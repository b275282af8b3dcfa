"""How well single latents tell what is known of the tokens of a generated world."""
