"""Labelled texts: what probes are trained and tested on, from files, the hub or the world."""
