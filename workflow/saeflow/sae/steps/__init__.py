"""What the steps of architectures are made of; `step.py` says what an architecture is."""
