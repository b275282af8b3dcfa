"""What is done to dead latents between steps, loaded by name."""
