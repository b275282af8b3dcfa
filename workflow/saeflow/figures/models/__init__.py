"""The figures about the language models: `TABLE`, `TITLE` and `draw(table)`."""
