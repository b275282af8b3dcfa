"""Probes of what SAEs make of labelled texts."""
