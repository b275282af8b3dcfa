"""The tables about the language models: `READS` and `build(models)`."""
