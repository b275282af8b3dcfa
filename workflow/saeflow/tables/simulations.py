"""The toys of a study's theory, read from their record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from saeflow.tables.files import read_csv


def read_simulation(paths: Sequence[Path]) -> pd.DataFrame:
    """Return prediction and simulation of every toy, from the one record there is."""
    (record,) = paths
    return read_csv(Path(record).with_suffix(".csv"))
