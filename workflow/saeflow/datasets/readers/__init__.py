"""How documents are read from each kind of file.

A module has ``read(files, name, text)``, which returns a `saeflow.datasets.source.Source` of that
name with the column ``text``; ``texts(files, text)``, which planning asks for the first ones: it
makes no Arrow arrays of Python values, for which Arrow would import pandas; and ``rows(files)``,
where each row stands and its values. Plain text has no columns, but a separator. Files are in
UTF-8, and their columns may differ.
"""
