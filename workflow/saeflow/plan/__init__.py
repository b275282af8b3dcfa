"""The jobs that a configuration asks for, and which of them are stale."""
