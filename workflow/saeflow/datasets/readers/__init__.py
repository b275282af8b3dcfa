"""How documents are read from each kind of file.

A module has ``read(files, text, ...)``, which returns a `saeflow.datasets.source.Source` without
having read more than it must.
"""
