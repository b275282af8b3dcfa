"""What a notebook needs: open a result by its path or name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saeflow import paths
from saeflow.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from saeflow.activations.reader import Store
    from saeflow.sae.model import SAE


def load_sae(path: str | Path) -> SAE:
    """Return an SAE from its record (``sae.json``) or directory; see `saeflow.sae.saved.load`."""
    from saeflow.sae.saved.load import load_sae as load

    return load(path)


def open_store(path: str | Path) -> Store:
    """Return the activations of a hook from its record; see `saeflow.activations.reader`."""
    from saeflow.activations.reader import open_store as open_

    return open_(Path(path))


def read_table(study: str, table: str, *, results: str | Path = paths.RESULTS) -> pd.DataFrame:
    """Return a table of a study.

    Parameters
    ----------
    study, table
        Such as "suppression" and "frontier".
    results
        The directory with the results.

    Raises
    ------
    DataError
        If there is no such table; the message lists those there are.
    """
    from saeflow.tables.files import read_csv

    record = paths.fill(paths.TABLE, study=study, table=table).relative_to(paths.RESULTS)
    file = (Path(results) / record).with_suffix(".csv")
    if not file.is_file():
        known = ", ".join(sorted(p.stem for p in file.parent.glob("*.csv"))) or "none yet"
        raise DataError("there is no such table", where=file, expected=known)
    return read_csv(file)
