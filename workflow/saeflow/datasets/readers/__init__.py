"""How documents are read from each kind of file.

A module has ``read(files, name, ...)``, which returns a `saeflow.datasets.source.Source`, and
``texts(files, ...)``, which planning asks for the first ones: it makes no Arrow arrays of Python
values, for which Arrow would import pandas.
"""
