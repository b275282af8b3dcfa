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


def read_table(
    study: str,
    table: str,
    *,
    configuration: str | None = None,
    results: str | Path = paths.RESULTS,
) -> pd.DataFrame:
    """Return a table of a study.

    Parameters
    ----------
    study, table
        Such as "suppression" and "frontier".
    configuration
        The name of the configuration (``mine`` for ``mine.yaml``); None where only one has made
        this table.
    results
        The directory with the results.

    Raises
    ------
    DataError
        If there is no such table, or if several configurations have one; the message lists what
        there is.
    """
    from saeflow.tables.files import read_csv

    def files(configuration: str, table: str) -> list[Path]:
        pattern = paths.fill(paths.TABLE, configuration=configuration, study=study, table=table)
        found = Path(results).glob(f"{pattern.relative_to(paths.RESULTS).with_suffix('.csv')}")
        return sorted(found)

    found = files(configuration or "*", table)
    if not found:
        known = sorted({file.stem for file in files(configuration or "*", "*")})
        raise DataError(
            f"there is no table '{table}' of {study}",
            where=results,
            expected=", ".join(known) or "a study that was run",
        )
    if len(found) > 1:
        names = sorted(file.parents[2].name for file in found)
        raise DataError(
            f"several configurations have a table '{table}' of {study}",
            where=results,
            got=", ".join(names),
            remedy=f'Say which one is meant: read_table(..., configuration="{names[0]}").',
        )
    return read_csv(found[0])
