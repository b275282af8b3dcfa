"""The figures of the suppression study, one module each: `TABLE`, `TITLE` and `draw(table)`."""
