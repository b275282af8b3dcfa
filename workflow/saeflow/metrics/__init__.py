"""What is measured: a module per measure, with the formulas of its metrics; no torch."""
