"""What is measured: one description per metric, one module per formula."""
