"""Training: passes over activations, trainees, checkpoints, logs. Read `sweep.py`."""
