"""Tidy tables: records in, one CSV per table out. Reading is apart from building."""
