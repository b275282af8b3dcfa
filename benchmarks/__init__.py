"""Speeds as ratios to a ceiling measured in the same process; `make bench` prints them.

A benchmark is a module here with ``figures()``, which yields `Figure`. Run on a quiet machine.
"""
