"""What each study needs: its rows, the records behind each table, the table behind each figure.

A study is a module here with ``TABLES`` (table -> kinds of records that it reads), ``RESAMPLED``
(tables that take the measures' bootstrap settings), ``FIGURES`` (figure -> table), ``rows(config)``
and ``records(plan, kind)``; ``OF_NO_ROW`` names the tables that are about none of the rows. The
tables and figures themselves are modules of `saeflow.tables` and `saeflow.figures` of the same
names.
"""
