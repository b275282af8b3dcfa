"""Prompt sets: questions with a known answer, from files, the hub, the world or templates."""
