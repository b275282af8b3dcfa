"""The tables of the suppression study, one module each: `READS` and `build(runs)`."""
